import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stratavore.embedded.process import Command, Process, find_leader, last_lines, listens, spawn
from stratavore.runtime.logs import trim_logs
from tests.support.waiting import until

MARK = "STRATAVORE_TEST_MARK"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as child:
        yield child
        child.kill()


def identity(child: subprocess.Popen[bytes]) -> Process:
    process = Process.of(child.pid)
    assert process is not None
    return process


def test_a_living_process_is_alive(sleeper: subprocess.Popen[bytes]) -> None:
    assert identity(sleeper).alive()


def test_a_zombie_is_dead(sleeper: subprocess.Popen[bytes]) -> None:
    process = identity(sleeper)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped
    assert Path(f"/proc/{sleeper.pid}/stat").exists()
    assert not process.alive()
    assert not process.send(signal.SIGTERM)


@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another"}])
def test_another_process_with_the_same_pid_is_left_alone(
    sleeper: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    former = replace(identity(sleeper), **change)  # type: ignore[arg-type]
    assert not former.alive()
    assert not former.send(signal.SIGKILL)
    assert sleeper.poll() is None


def test_names_with_spaces_and_parentheses_are_read(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"]) as child:
        process = identity(child)
        child.kill()
    assert process.start > 0


async def test_stop_asks_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done"
    process = spawn(Command(["sh", "-c", script], cwd=tmp_path, environment={"PATH": os.environ["PATH"]}), log)
    await until(lambda: "up" in log.read_text())
    await process.stop()
    assert log.read_text().split() == ["up", "asked"]
    assert not process.alive()


async def test_stop_kills_who_does_not_listen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "trap '' TERM; sleep 600 & echo $!; wait; wait"
    process = spawn(Command(["sh", "-c", script], cwd=tmp_path, environment={"PATH": os.environ["PATH"]}), log)
    await until(log.read_text)
    child = Process.of(int(log.read_text()))
    assert child is not None
    await process.stop(grace=0.1)
    assert not process.alive()
    assert await child.ended(5), "its children end with it"


async def test_a_spawned_process_is_apart_from_us_and_knows_only_its_environment(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(Command(["/usr/bin/env"], cwd=tmp_path, environment={"A": "1"}), log)
    assert await process.ended(5)
    assert log.read_text() == "A=1\n"
    assert log.stat().st_mode & 0o777 == 0o600

    process = spawn(Command(["/bin/sleep", "600"], cwd=tmp_path), log)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    await process.stop()


async def test_a_leader_is_found_by_its_mark(tmp_path: Path) -> None:
    mark = f"{MARK}={tmp_path}"
    assert find_leader(mark) is None
    script = "sleep 600 & wait"  # the child has the mark too, and is not the leader
    environment = {"PATH": os.environ["PATH"], MARK: str(tmp_path)}
    process = spawn(Command(["sh", "-c", script], cwd=tmp_path, environment=environment), tmp_path / "log")
    # The kernel shows the environment of a program a moment after it has begun.
    await until(lambda: find_leader(mark) == process)
    assert find_leader(mark[:-1]) is None
    process.send(signal.SIGKILL, group=True)
    assert await process.ended(5)
    assert find_leader(mark) is None


def test_listening_is_told_of_the_listener_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listens(os.getpid(), port)
        assert not listens(os.getppid(), port)
    assert not listens(os.getpid(), port)


async def test_a_log_is_put_aside_while_its_process_writes_on(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    program = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    process = spawn(Command([sys.executable, "-c", program], cwd=tmp_path), log)
    await until(lambda: log.stat().st_size > 1000)
    trim_logs(tmp_path, 1000)
    assert log.stat().st_size < 1000
    await until(lambda: log.stat().st_size > 0)  # and not with a hole of what was there
    assert b"\0" not in log.read_bytes()
    await process.stop()


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == ""
    log.write_text("".join(f"line {number}\n\n" for number in range(2000)))
    assert last_lines(log, 2) == "line 1998 | line 1999"
