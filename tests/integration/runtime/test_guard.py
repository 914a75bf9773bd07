"""A runner that is to end with its host's lease has a guard, which needs nobody."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stratavore import fencing
from stratavore.agents.exits import classify_exit
from stratavore.fencing import HeldLease
from stratavore.models.states import ExitKind
from stratavore.procfs import command_line, owner, uptime
from stratavore.runtime.guard import guard_files
from stratavore.runtime.processes import Liveness, ProcessIdentity, identify, liveness
from stratavore.runtime.rundir import RunSpec
from tests.integration.runtime.runners import ENVIRONMENT, Runners, pids_in
from tests.support.processes import marked
from tests.support.waiting import PATIENCE_SECONDS, until
from worker.fence import Fence

STUBBORN = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for way in ("agent", "child", "without its marker"):
    if way != "agent" and os.fork():
        continue
    if way == "without its marker":
        os.execve("/bin/sh", ["a ) (\\nb", "-c", "echo $$ >>pids; sleep 1000; :"], {"PATH": os.environ["PATH"]})
    with open("pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
    if way != "agent":
        time.sleep(1000)
time.sleep(1000)
"""
"""An agent and two that it started, whom no polite signal ends; one has not kept the runner's marker."""


SOON_SECONDS = 6.0
"""Until a lease that a test lets end is over; a guard looks each 5 s."""


async def launched(runners: Runners, spec: RunSpec, lease: HeldLease) -> ProcessIdentity:
    """Its agent, once the guard is beside it."""
    started = await runners.host.launch(spec, ENVIRONMENT, guard_files(lease))
    assert started.identity is not None, started
    await until(lambda: guard(spec) is not None, what="its guard")
    return started.identity


async def stubborn(runners: Runners, lease: HeldLease) -> tuple[RunSpec, ProcessIdentity]:
    """A runner whose agent and its processes end by SIGKILL only; all of them live."""
    spec = runners.python(STUBBORN)
    agent = await launched(runners, spec, lease)
    await until(pids_in(runners.work, 3), what="all of them")
    return spec, agent


def guard(spec: RunSpec) -> ProcessIdentity | None:
    """The process that keeps guard."""
    found = (one for one in marked(runner_id=spec.runner_id) if "./guard" in command_line(one.pid)[1:2])
    return next(found, None)


def hold(runners: Runners, seconds: float, *, lapsed: bool = False) -> HeldLease:
    """The host's lease, renewed now."""
    return fencing.hold(runners.home, sent=uptime(), seconds=seconds, lapsed=lapsed)


def lapse(runners: Runners) -> HeldLease:
    """Let the lease that is held end soon: while a runner begins, a busy machine may take its time."""
    fencing.shorten(runners.home, sent=uptime(), seconds=SOON_SECONDS)
    lease = fencing.read(runners.home.lease_file)
    assert lease is not None
    return lease


def pids(directory: Path) -> list[int]:
    return [int(pid) for pid in (directory / "pids").read_text().split()]


async def assert_fenced(runners: Runners, spec: RunSpec, seconds: str) -> None:
    """Its end is known as what it is, and nothing of it is left."""
    record = await runners.exit(spec)
    kind, reason = classify_exit(record, spec)
    assert (kind, reason) == (ExitKind.FENCED, f"its host could not renew its lease for {seconds} s")
    await until(lambda: not marked(runner_id=spec.runner_id), what="that nothing of it is left")


async def test_it_ends_all_of_the_runner_when_the_lease_is_over(runners: Runners) -> None:
    spec, agent = await stubborn(runners, hold(runners, 600))
    lease = lapse(runners)
    await runners.gone(agent)
    assert uptime() >= lease.deadline
    await assert_fenced(runners, spec, "600")
    await until(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids(runners.work)), what="their end")


async def test_it_leaves_a_runner_alone_while_the_lease_is_renewed(runners: Runners) -> None:
    spec = runners.shell("exec cat")
    agent = await launched(runners, spec, hold(runners, 600))
    end = lapse(runners).deadline + SOON_SECONDS

    def renewed() -> bool:
        hold(runners, 15)
        return uptime() > end

    await until(renewed, what="that the first one would be over")
    assert liveness(agent) is Liveness.ALIVE
    os.kill(agent.pid, signal.SIGKILL)
    record = await runners.exit(spec)
    assert classify_exit(record, spec)[0] is ExitKind.CRASHED
    await until(lambda: not marked(runner_id=spec.runner_id), what="the guard's end")


async def test_a_lease_of_another_term_does_not_cover_it(runners: Runners) -> None:
    spec = runners.shell("exec cat")
    agent = await launched(runners, spec, hold(runners, 600))
    hold(runners, 600, lapsed=True)  # it ran out and was renewed, as this machine stood still
    await runners.gone(agent)
    await assert_fenced(runners, spec, "600")


async def test_who_was_prepared_for_a_lease_that_is_over_never_begins(runners: Runners) -> None:
    before = hold(runners, 600)
    hold(runners, 600, lapsed=True)
    spec = runners.shell("echo began >began")
    started = await runners.host.launch(spec, ENVIRONMENT, guard_files(before))
    assert started.exit is not None
    await assert_fenced(runners, spec, "600")
    assert not (runners.work / "began").exists()


async def test_a_lease_that_cannot_be_read_is_good_until_the_last_known_deadline(runners: Runners) -> None:
    lease = hold(runners, 15)
    spec = runners.shell("exec cat")
    agent = await launched(runners, spec, lease)
    runners.home.lease_file.unlink()
    await runners.gone(agent)
    assert uptime() >= lease.deadline
    await assert_fenced(runners, spec, "15")


@pytest.mark.parametrize("who", ["wrapper", "terminal"])
async def test_it_outlives_wrapper_and_terminal_as_long_as_the_agent_does(runners: Runners, who: str) -> None:
    spec, agent = await stubborn(runners, hold(runners, 600))
    lease = lapse(runners)
    wrapper = runners.files(spec).wrapper()
    assert wrapper
    os.kill(wrapper.pid if who == "wrapper" else await runners.server(), signal.SIGKILL)
    await runners.gone(wrapper, agent)
    assert uptime() >= lease.deadline
    await until(lambda: not marked(runner_id=spec.runner_id), what="that nothing of it is left")


@pytest.mark.parametrize("guarding", ["dead", "frozen"])
async def test_the_daemon_ends_it_if_the_guard_cannot(runners: Runners, guarding: str) -> None:
    lease = hold(runners, 600)
    spec, agent = await stubborn(runners, lease)
    unbound = runners.shell("exec cat")
    goes_on = await runners.agent(unbound)
    one = guard(spec)
    assert one
    os.kill(one.pid, signal.SIGKILL if guarding == "dead" else signal.SIGSTOP)
    fence = Fence(runners.home, runners.host)
    await fence.look()
    assert liveness(agent) is Liveness.ALIVE
    hold(runners, 600, lapsed=True)
    await fence.look()
    await runners.gone(agent)
    await assert_fenced(runners, spec, "600")
    assert liveness(goes_on) is Liveness.ALIVE, "it has no part in any of this"


async def test_it_costs_no_time_when_the_runner_is_to_end(runners: Runners) -> None:
    spec = runners.shell("exec cat")
    await launched(runners, spec, hold(runners, 600))
    await runners.host.stop(spec.runner_id, spec.project_id, grace=60, force=False)
    assert not marked(runner_id=spec.runner_id)
    record = await runners.exit(spec)
    assert (record.code, record.asked, record.fenced) == (128 + signal.SIGTERM, True, None)


async def test_it_does_not_wait_for_what_is_another_users(runners: Runners) -> None:
    """The machine's first process stands for what `sudo` started: an ordinary user may not end it."""
    first = identify(1)
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    if first is None or owner(1) == user:
        pytest.skip("the first process is another user's elsewhere")
    spec = runners.spec("/bin/true")
    files = runners.files(spec)
    files.prepare(spec, {}, guard_files(hold(runners, 600)))
    hold(runners, 600, lapsed=True)
    files.keep_descendants([first])
    stat = Path("/proc/self/stat").read_text().replace(str(os.getpid()), "4194304", 1)
    (files.path / "started").write_text(f"{first.boot_id} {stat}")
    for path in (runners.home.root, runners.home.runners, files.path, *files.path.iterdir()):
        path.chmod(0o777)
    guarding = await asyncio.create_subprocess_exec("/bin/sh", "guard", cwd=files.path, user=user)
    try:
        assert await asyncio.wait_for(guarding.wait(), PATIENCE_SECONDS) == 0
    finally:
        if guarding.returncode is None:
            guarding.kill()
