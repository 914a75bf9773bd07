import socket
from collections.abc import Iterator

import pytest

from cli.service import RECORDED, UNTOLD, Service
from stratavore.errors import DaemonAway, DaemonSilent, ServerAway, UnsafeDirectory
from stratavore.paths import Home
from tests.unit.cli.conftest import Serve

AWAY = "it happens later"


class Straight:
    """The use cases without a daemon, on servers that are there or not."""

    def __init__(self, *, servers: bool = True) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self._servers = servers

    def call(self, method: str, params: dict[str, object]) -> str:
        """Answer, or fail as one does without servers."""
        self.calls.append((method, params))
        if not self._servers:
            raise ServerAway(server="Temporal", address="there", reason="it is silent", hint="Wait")
        return "straight"


@pytest.fixture
def made(home: Home, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service with servers to go to."""
    found = Service()
    monkeypatch.setattr(found, "_direct", Straight())
    return found


@pytest.fixture
def silent(home: Home) -> Iterator[socket.socket]:
    """A daemon that takes calls and answers none."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
        listener.listen()
        listener.setblocking(False)
        yield listener


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_daemon_that_answers_is_asked_and_nothing_is_said(
    made: Service, fake: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(status="answered")
    assert made.call("status") == "answered"
    assert (made.without_daemon, made.absence, told(capsys)) == (False, "", [])


def test_without_a_daemon_it_is_said_once_what_happens(made: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert made.call("list_projects", away=UNTOLD) == "straight"
    assert told(capsys) == []
    made.call("launch", away=AWAY)
    made.call("wait")
    assert told(capsys) == [f"The daemon is not running: {AWAY}. Start it with: stratavore daemon start"]
    assert made.without_daemon


def test_parameters_may_differ_without_a_daemon(made: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = Straight()
    monkeypatch.setattr(made, "_direct", straight)
    made.call("send", alone={"wait": False}, text="x")
    assert straight.calls == [("send", {"text": "x", "wait": False})]


def test_a_silent_daemon_is_not_asked_again_at_once(
    made: Service, silent: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert made.call("status", patience=0.02) == "straight"
    silent.accept()[0].close()
    with pytest.raises(BlockingIOError):
        silent.accept()
    assert told(capsys) == [f"The daemon does not answer: {RECORDED}. See: stratavore daemon status"]


def test_what_a_silent_daemon_heard_may_still_happen(
    made: Service, silent: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(made, "_direct", Straight(servers=False))
    with pytest.raises(ServerAway):
        made.call("launch", away=AWAY, patience=0.02)
    assert told(capsys) == ["The daemon has heard of it and may do it later; look with: stratavore sessions"]


def test_what_needs_a_daemon_says_whether_there_is_one(made: Service, home: Home) -> None:
    with pytest.raises(DaemonAway):
        made.call_daemon("daemon_status")
    home.daemon_lock.write_text("4711\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
        listener.listen()
        with pytest.raises(DaemonSilent, match="process 4711"):
            made.call_daemon("daemon_status", patience=0.02)


def test_a_directory_that_others_can_enter_is_not_trusted(made: Service, home: Home, fake: Serve) -> None:
    daemon = fake(status="answered")
    home.sockets.chmod(0o770)
    with pytest.raises(UnsafeDirectory):
        made.call("status")
    assert daemon.calls == []
