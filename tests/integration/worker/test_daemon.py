"""The daemon as a program: how it is started, refused and ended."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stratavore import __version__
from stratavore.errors import EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE
from stratavore.paths import Home
from stratavore.runtime.logs import LOG_LIMIT
from stratavore.runtime.processes import Liveness, liveness
from tests.integration.worker.watching import running
from tests.support import servers
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until


def run(*words: str, home: Home | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``stratavored`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "worker.daemon", *words],
        env=os.environ | ({"STRATAVORE_HOME": str(home.root)} if home else {}) | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def daemon_process(daemon_process: DaemonProcess) -> DaemonProcess:
    daemon_process.as_program = True
    return daemon_process


@pytest.mark.parametrize(("word", "says"), [("--version", f"stratavored {__version__}"), ("--help", "usage: strat")])
def test_it_tells_what_it_is(word: str, says: str) -> None:
    answer = run(word)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(says)


def test_words_that_it_does_not_know_are_refused() -> None:
    answer = run("--everything")
    assert answer.returncode == EXIT_USAGE
    assert "unrecognized arguments: --everything" in answer.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("STRATAVORE_METRICS__PORT", "many", "The setting STRATAVORE_METRICS__PORT is wrong"),
        ("STRATAVORE_POSTGRES__PORT", "70000", "The setting STRATAVORE_POSTGRES__PORT is wrong"),
        ("STRATAVORE_HOST", "a host", "The setting STRATAVORE_HOST is wrong"),
        (
            "STRATAVORE_POSTGRES__DNS",
            "s3cret",
            "There is no setting STRATAVORE_POSTGRES__DNS; did you mean STRATAVORE_POSTGRES__DSN?",
        ),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(home: Home, name: str, value: str, says: str) -> None:
    answer = run(home=home, **{name: value})
    assert answer.returncode == EXIT_USAGE
    assert answer.stderr.startswith(f"Error: {says}")
    assert answer.stderr.count("\n") == 1 and "s3cret" not in answer.stderr
    assert not home.daemon_lock.exists()


async def test_a_second_daemon_is_refused_in_one_sentence(daemon: DaemonProcess) -> None:
    second = run(home=daemon.home)
    assert second.returncode == EXIT_REFUSED
    assert second.stderr == (
        f"Error: A daemon already runs for {daemon.home.root} (process {daemon.pid}). See: stratavore daemon status.\n"
    )
    assert (await daemon.call("daemon_status"))["pid"] == daemon.pid


async def test_two_machines_of_one_name_never_share_their_runners(daemon: DaemonProcess, homes: Path) -> None:
    """The second one would take all runners of the first for dead, and start each again."""
    session, agent = await running(daemon, ["cat"])
    settings = {name: value for name, value in daemon.environment.items() if name != "STRATAVORE_HOME"}
    second = run(home=servers.new_home(homes), **settings)
    assert second.returncode == EXIT_REFUSED
    assert f"Error: Another daemon serves the host '{daemon.host}' with this Postgres: on this machine" in second.stderr
    assert f"with another state directory, of version {__version__}, last heard of " in second.stderr
    assert "Traceback" not in second.stderr
    (row,) = await daemon.fetch("SELECT id, pid FROM runners WHERE ended_at IS NULL")
    assert (row["id"], row["pid"]) == (f"{session}.1", agent.pid)
    await daemon.restart()  # its own next daemon is welcome at once


async def test_a_copy_of_a_state_directory_on_another_machine_is_no_heir(daemon: DaemonProcess, homes: Path) -> None:
    _, agent = await running(daemon, ["cat"])
    settings = {name: value for name, value in daemon.environment.items() if name != "STRATAVORE_HOME"}
    copy = servers.new_home(homes)
    own = json.loads(daemon.home.identity_file.read_text())
    copy.identity_file.write_text(json.dumps({**own, "machine": "where it came from"}))
    second = run(home=copy, **settings)
    assert second.returncode == EXIT_REFUSED
    assert f"Error: Another daemon serves the host '{daemon.host}' with this Postgres" in second.stderr
    (row,) = await daemon.fetch("SELECT pid FROM runners WHERE ended_at IS NULL")
    assert (row["pid"], liveness(agent)) == (agent.pid, Liveness.ALIVE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order_and_sessions_go_on(daemon: DaemonProcess, number: signal.Signals) -> None:
    _, agent = await running(daemon, ["cat"])
    assert daemon.end(number) == 0
    assert not daemon.home.api_socket.exists()
    assert liveness(agent) is Liveness.ALIVE
    assert "Traceback" not in daemon.log.read_text()
    await daemon.start()
    (runner,) = await daemon.call("list_runners")
    assert (runner["pid"], runner["status"]) == (agent.pid, "running")


async def test_a_service_manager_is_told_and_nobody_else_hears_of_it(
    daemon_process: DaemonProcess, tmp_path: Path
) -> None:
    daemon, address = daemon_process, str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        daemon.spawn(settings={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"})
        hearing = asyncio.create_task(asyncio.to_thread(heard_until_it_stops, manager))
        await daemon.ready()
        _, agent = await running(daemon, ["cat"])
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{agent.pid}/environ").read_bytes()
        assert await asyncio.to_thread(daemon.end) == 0
        first, *between, last = await hearing
    assert first.startswith(f"READY=1\nSTATUS=host {daemon.host}, metrics at http://127.0.0.1:".encode())
    assert set(between) == {b"WATCHDOG=1"}
    assert last == b"STOPPING=1\nSTATUS=stopping; sessions go on"


def heard_until_it_stops(manager: socket.socket) -> list[bytes]:
    """What a service manager is told. It reads all the time: the kernel keeps ten messages, and drops the others."""
    heard = [manager.recv(1000)]
    while not heard[-1].startswith(b"STOPPING=1"):
        heard.append(manager.recv(1000))
    return heard


async def test_logs_do_not_grow_for_ever(daemon_process: DaemonProcess) -> None:
    log = daemon_process.home.logs / "temporal.log"
    log.write_bytes(b"x" * (LOG_LIMIT + 1000))
    await daemon_process.start()
    await until(lambda: log.stat().st_size == 0)
    assert log.with_name("temporal.log.1").stat().st_size == LOG_LIMIT


async def test_it_can_be_ended_while_it_waits_for_a_server(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    daemon.spawn(settings={"STRATAVORE_POSTGRES__DSN": "postgresql://nobody@127.0.0.1:1/nothing"})
    await until(lambda: "waiting: Postgres cannot be reached at 127.0.0.1:1" in daemon.log.read_text())
    assert daemon.end() == 0


async def test_a_server_that_stays_away_is_told_in_one_sentence(
    daemon_process: DaemonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, since nobody wants to wait as long as the daemon does."""
    from stratavore.errors import ServerAway
    from worker import daemon as program

    monkeypatch.setattr(program, "PATIENCE_SECONDS", 0.0)
    asked = []

    async def away() -> None:
        asked.append(1)
        raise ServerAway(server="Temporal", address="127.0.0.1:1", reason="it does not answer", hint="Look at its log")

    with pytest.raises(ServerAway) as raised:
        await program._patiently(away)
    assert raised.value.exit_code == EXIT_UNAVAILABLE
    assert len(asked) == 1


async def test_a_launch_that_cannot_succeed_can_be_ended_and_taken_up_again(
    daemon_process: DaemonProcess, tmp_path: Path
) -> None:
    daemon = daemon_process
    await daemon.start(settings={"PATH": str(tmp_path)})  # no tmux there
    project = await daemon.project(["/bin/cat"])
    (session,) = await daemon.launch(project)
    await daemon.wait(session, "starting")
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    assert await daemon.fetch("SELECT 1 FROM admissions") == []
    assert [row["status"] for row in await daemon.fetch("SELECT status FROM runners")] == ["terminated"]
    await daemon.restart()
    await daemon.command(session, "resume")
    assert (await daemon.wait(session, "running"))["generation"] == 2
