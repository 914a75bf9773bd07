import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stratavore import procfs
from stratavore.runtime.processes import (
    RUNNER_MARKER,
    Liveness,
    ProcessIdentity,
    Snapshot,
    end,
    identify,
    liveness,
    measure,
    open_pidfd,
    send,
    send_group,
    wait_dead,
)
from tests.support.processes import marked
from tests.support.waiting import until


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def identity(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    found = identify(process.pid)
    assert found is not None
    return found


def test_alive_then_a_zombie_then_gone(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    assert liveness(found) is Liveness.ALIVE
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped
    assert procfs.stat(child.pid).state == "Z"
    assert liveness(found) is Liveness.DEAD
    assert open_pidfd(found) is None
    child.wait()
    assert liveness(found) is Liveness.DEAD
    assert identify(child.pid) is None


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another"}])
async def test_another_process_with_the_pid_proves_it_dead_and_is_left_alone(
    child: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    former = replace(identity(child), **change)  # type: ignore[arg-type]
    assert liveness(former) is Liveness.DEAD
    assert open_pidfd(former) is None
    send(former, signal.SIGKILL)
    send_group(former, signal.SIGKILL)
    assert await wait_dead(former, 0)
    assert await end([former], grace=0) == []
    assert liveness(identity(child)) is Liveness.ALIVE


def test_a_process_whose_first_thread_ended_lives() -> None:
    program = "import ctypes, threading, time\n" + (
        "threading.Thread(target=time.sleep, args=(600,)).start(); print('up', flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
            asyncio.run(until(lambda: procfs.stat(process.pid).state == "Z", what="the end of the first thread"))
            found = identity(process)
            assert liveness(found) is Liveness.ALIVE
            assert Snapshot().tree(found) == [found]
        finally:
            process.kill()


@pytest.mark.parametrize("error", [PermissionError(), OSError(5, "Input/output error"), ValueError("too few fields")])
def test_what_cannot_be_read_is_unknown_and_never_dead(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    found = identity(child)

    def unreadable(pid: int) -> procfs.Stat:
        raise error

    monkeypatch.setattr(procfs, "stat", unreadable)
    assert liveness(found) is Liveness.UNKNOWN
    assert identify(child.pid) is None


def test_a_hidden_process_is_unknown_until_the_kernel_says_there_is_none(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = identity(child)

    def hidden(pid: int) -> procfs.Stat:
        raise FileNotFoundError

    monkeypatch.setattr(procfs, "stat", hidden)
    assert liveness(found) is Liveness.UNKNOWN
    child.kill()
    child.wait()
    assert liveness(found) is Liveness.DEAD


async def test_waiting_for_a_death_without_free_descriptors(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_free(found: ProcessIdentity) -> int | None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("stratavore.runtime.processes.open_pidfd", none_free)
    monkeypatch.setattr("stratavore.runtime.processes._POLL_SECONDS", 0.01)
    found = identity(child)
    assert not await wait_dead(found, 0.02)
    child.kill()
    assert await wait_dead(found, 10)


async def test_waiting_leaves_no_descriptor(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    before = os.listdir("/proc/self/fd")
    assert not await wait_dead(found, 0.01)
    waiting = asyncio.create_task(wait_dead(found, 100))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert os.listdir("/proc/self/fd") == before
    child.kill()
    assert await wait_dead(found, 10)
    assert os.listdir("/proc/self/fd") == before


async def test_who_ignores_the_request_is_killed_and_the_others_are_asked() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    polite = "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done"
    with (
        subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as first,
        subprocess.Popen(["sh", "-c", polite], stdout=subprocess.PIPE) as second,
    ):
        for process in (first, second):
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
        assert await end([identity(first), identity(second)], grace=0.5) == []
        assert (first.wait(), second.wait()) == (-signal.SIGKILL, 3)


def test_the_marker_is_found_and_the_own_family_is_never_named() -> None:
    runner = f"{uuid.uuid4()}.3"
    program = (
        "from stratavore.runtime.processes import Snapshot, identify; import os, subprocess\n"
        "with subprocess.Popen(['sleep', '600']) as child:\n"
        f"    print(child.pid, [one.pid for one in Snapshot().marked()['{runner}']],"
        "          [one.pid for one in Snapshot().tree(identify(os.getpid()))], flush=True); child.kill()\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {RUNNER_MARKER: runner},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pid, rest = answer.stdout.strip().split(" ", 1)
    assert rest == f"[{pid}] [{pid}]"
    assert marked(runner_id=runner) == []
    assert marked(session_id=runner.rpartition(".")[0]) == []


def test_who_has_the_pid_of_a_dead_process_is_not_of_its_tree(child: subprocess.Popen[bytes]) -> None:
    found = identity(child)
    assert Snapshot().tree(found) == [found]
    assert Snapshot().tree(replace(found, start_ticks=found.start_ticks - 1)) == []


def test_memory_and_time_of_a_tree_are_summed() -> None:
    program = (
        "import os, time\nif os.fork() == 0: pass\nlarge = b'x' * 20_000_000\nopen('/dev/stdout', 'w').write('x')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program + "time.sleep(600)"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.read(2) == b"xx"
            usage = measure(Snapshot(), {"a": process.pid, "gone": 2**22 + 1})
            assert set(usage) == {"a"}
            assert 40 < usage["a"].memory_mb < 400
            assert usage["a"].cpu_seconds >= 0
        finally:
            for one in Snapshot().tree(identity(process)):
                send(one, signal.SIGKILL)
