"""Processes that an agent leaves without the marker in their environment, when nobody else is their parent any more."""

import ctypes
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stratavore.procfs import owner
from stratavore.runtime.host import ProcessesRemain
from stratavore.runtime.processes import (
    Liveness,
    ProcessIdentity,
    Snapshot,
    end,
    identify,
    liveness,
    send,
)
from tests.integration.runtime.runners import Runners, pids_in
from tests.support.waiting import PATIENCE_SECONDS, until

# Forks twice, throws its environment away, ignores what is polite; with "setsid" it leaves the terminal's session too.
STRAY = """
import os, signal, sys, time
if os.fork() == 0:
    if "setsid" in sys.argv:
        os.setsid()
    if os.fork() == 0:
        for number in (1, 15):
            signal.signal(number, signal.SIG_IGN)
        write = "import os, time; open('pids', 'a').write(f'{os.getpid()} '); time.sleep(1000)"
        os.execve(sys.executable, [sys.executable, "-c", write], {})
    if "stays" in sys.argv:
        time.sleep(1000)
    os._exit(0)
while "leaves" not in sys.argv or not os.path.exists("pids"):
    time.sleep(0.02)
"""


async def stray_of(runners: Runners) -> ProcessIdentity:
    await until(pids_in(runners.work, 1))
    found = identify(int((runners.work / "pids").read_text()))
    assert found
    return found


@pytest.mark.parametrize("how", ["stop", "agent killed", "agent ended"])
async def test_one_that_stays_in_the_terminals_session_is_ended(runners: Runners, how: str) -> None:
    spec = runners.python(STRAY, *(["leaves"] if how == "agent ended" else []))
    agent = await runners.agent(spec)
    stray = await stray_of(runners)
    if how == "stop":
        await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
    else:
        if how == "agent killed":
            send(agent, signal.SIGKILL)
        await runners.exit(spec)
        assert liveness(stray) is Liveness.ALIVE
    await runners.host.finish(spec.runner_id, spec.project_id)
    assert liveness(stray) is Liveness.DEAD


@pytest.mark.parametrize("killed", ["agent", "wrapper"])
async def test_one_that_was_seen_while_it_had_its_parents_is_ended(runners: Runners, killed: str) -> None:
    """It left even its session; what a look had seen of its descent is all that is left."""
    spec = runners.python(STRAY, "setsid", "stays")
    started = await runners.launch(spec)
    assert started.identity and started.wrapper
    stray = await stray_of(runners)
    seen = Snapshot().tree(started.identity)[1:]
    assert stray in seen
    runners.files(spec).keep_descendants(seen)
    middle = [each for each in seen if each != stray]
    for each in (*middle, started.wrapper if killed == "wrapper" else started.identity, started.identity):
        send(each, signal.SIGKILL)
    await runners.gone(*middle, started.identity, started.wrapper)
    assert liveness(stray) is Liveness.ALIVE
    await runners.host.finish(spec.runner_id, spec.project_id)
    assert liveness(stray) is Liveness.DEAD


async def test_the_next_runner_waits_for_what_the_last_one_left(runners: Runners) -> None:
    spec = runners.python(STRAY)
    agent = await runners.agent(spec)
    stray = await stray_of(runners)
    send(agent, signal.SIGKILL)
    await runners.exit(spec)
    assert (await runners.launch(runners.next(spec))).identity
    assert liveness(stray) is Liveness.DEAD


@contextmanager
def without_the_right_to_end(stray: ProcessIdentity, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernel refuses to signal the stray, as it does an ordinary user with what `sudo` started."""
    kill, signal_by = os.kill, signal.pidfd_send_signal

    def refuse(pid: int, number: int) -> None:
        if pid == stray.pid:
            raise PermissionError
        kill(pid, number)

    def refuse_by(descriptor: int, number: int) -> None:
        about = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        if f"Pid:\t{stray.pid}\n" in about:
            raise PermissionError
        signal_by(descriptor, number)

    with monkeypatch.context() as patched:
        patched.setattr("os.kill", refuse)
        patched.setattr("signal.pidfd_send_signal", refuse_by)
        yield


@pytest.mark.parametrize("how", ["finish", "stop", "next", "fence"])
async def test_who_is_not_ours_to_end_holds_nothing_up(
    runners: Runners, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    spec = runners.python(STRAY)
    agent = await runners.agent(spec)
    stray = await stray_of(runners)
    try:
        with without_the_right_to_end(stray, monkeypatch):
            if how == "stop":
                await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
            elif how == "fence":
                await runners.host.fence(spec.runner_id, 6)
            send(agent, signal.SIGKILL)
            await runners.gone(agent)
            if how == "next":
                assert (await runners.launch(runners.next(spec))).identity
            finished = await runners.host.finish(spec.runner_id, spec.project_id)
        assert finished.out_of_reach == (stray,)
        assert liveness(stray) is Liveness.ALIVE
    finally:
        assert not await end([stray], grace=0)
    assert (await runners.host.finish(spec.runner_id, spec.project_id)).out_of_reach == ()


async def test_nobody_else_is_touched(runners: Runners) -> None:
    """Of the same number, with another beginning; or that began in a session of that number after its leader's end."""
    spec = runners.shell("exit 0")
    started = await runners.launch(spec)
    await runners.exit(spec)
    await runners.gone(started.wrapper)
    other = runners.spec("sleep", "1000")
    agent = await runners.agent(other)
    files = runners.files(spec)
    files.keep_descendants([ProcessIdentity(agent.pid, agent.start_ticks - 1, agent.boot_id)])
    wrapper = runners.files(other).wrapper()
    assert wrapper
    # As if the pid of the wrapper had been given to the other one's: its session began after this one had ended.
    boot, _ = (files.path / "started").read_text().split(" ", 1)
    fields = " ".join(["S", "1", "1", str(wrapper.pid), *["0"] * 15, "1", "0", "0"])
    (files.path / "started").write_text(f"{boot} {wrapper.pid} (sh) {fields}\n")
    await runners.host.finish(spec.runner_id, spec.project_id)
    assert liveness(agent) is Liveness.ALIVE


ANOTHERS = """
import os, signal, time
if os.fork() == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with open("pids", "w") as file:
        os.setuid(65534)
        file.write(str(os.getpid()))
    time.sleep(1000)
time.sleep(1000)
"""


@contextmanager
def as_one_of_many_users() -> Iterator[None]:
    """Without root's right (CAP_KILL) to signal the processes of all users; for this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    version_3, this_thread = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    assert libc.capget(version_3, this_thread) == 0
    effective, *rest = struct.unpack("=6I", this_thread.raw)
    assert libc.capset(version_3, struct.pack("=6I", effective & ~(1 << 5), *rest)) == 0
    try:
        yield
    finally:
        assert libc.capset(version_3, this_thread) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process to another user")
@pytest.mark.parametrize("force", [False, True])
async def test_what_is_another_users_is_left_to_it(runners: Runners, force: bool) -> None:
    spec = runners.python(ANOTHERS)
    agent = await runners.agent(spec)
    stray = await stray_of(runners)
    try:
        with as_one_of_many_users():
            await runners.host.stop(spec.runner_id, spec.project_id, grace=PATIENCE_SECONDS, force=force)
            assert liveness(agent) is Liveness.DEAD
            finished = await runners.host.finish(spec.runner_id, spec.project_id)
        assert (finished.out_of_reach, owner(stray.pid)) == ((stray,), 65534)
        assert liveness(stray) is Liveness.ALIVE
    finally:
        assert not await end([stray], grace=0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process to another user")
async def test_an_agent_that_is_another_users_is_not_taken_for_ended(
    runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would write one conversation."""
    monkeypatch.setattr("stratavore.runtime.host._SWEEPS", 1)
    ignore = "import os, signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.setuid(65534)"
    spec = runners.python(f"{ignore}; print('up', flush=True); time.sleep(1000)")
    agent = await runners.agent(spec)
    await runners.shows(spec, "up")
    try:
        with as_one_of_many_users(), pytest.raises(ProcessesRemain):
            await runners.host.stop(spec.runner_id, spec.project_id, grace=0, force=True)
    finally:
        assert not await end([agent], grace=0)
