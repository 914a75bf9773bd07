"""Processes that an agent leaves without the marker in their environment, when nobody else is their parent any more."""

import signal

import pytest

from stratavore.runtime.processes import (
    Liveness,
    ProcessIdentity,
    Snapshot,
    identify,
    liveness,
    send,
)
from tests.integration.runtime.runners import Runners, pids_in
from tests.support.waiting import until

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
