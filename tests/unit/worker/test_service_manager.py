"""What a service manager hears of the daemon, by its own protocol."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.service_manager import ServiceManager


@pytest.fixture(params=["file", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has one, and its address as systemd tells it."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@stratavore-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0", 1))
        heard.settimeout(10)
        yield heard, name


def test_it_hears_that_the_daemon_is_ready_alive_and_stopping(listening: tuple[socket.socket, str]) -> None:
    heard, address = listening
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    manager.ready("host here")
    manager.alive()
    manager.stopping()
    assert [heard.recv(1000) for _ in range(3)] == [
        b"READY=1\nSTATUS=host here",
        b"WATCHDOG=1",
        b"STOPPING=1\nSTATUS=stopping; sessions go on",
    ]


def test_nobody_else_is_told_where_it_listens() -> None:
    environment = {
        "NOTIFY_SOCKET": "/nowhere",
        "WATCHDOG_USEC": "120000000",
        "WATCHDOG_PID": str(os.getpid()),
        "A": "b",
    }
    assert ServiceManager(environment).watchdog_seconds == 120
    assert environment == {"A": "b"}


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}]
)
def test_a_watchdog_of_somebody_else_or_of_nobody_is_none(environment: dict[str, str]) -> None:
    assert ServiceManager(environment).watchdog_seconds is None


def test_one_that_does_not_listen_is_no_fault(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("host here")
    ServiceManager({}).alive()


def test_one_that_is_stuck_holds_up_nothing(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(address)
        manager = ServiceManager({"NOTIFY_SOCKET": address})
        for _ in range(5000):  # far above what its queue holds
            manager.alive()
