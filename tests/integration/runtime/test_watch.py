"""What the watch itself leaves behind; how it judges ends is in test_end.py."""

import os
import signal
import subprocess

from stratavore.runtime.processes import end, identify, send
from stratavore.runtime.rundir import ExitRecord
from stratavore.runtime.watch import ExitWatch
from tests.integration.runtime.runners import Runners
from tests.support.waiting import until


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_many_ends_leave_no_descriptor(runners: Runners) -> None:
    exits: list[str] = []
    orphans: list[str] = []
    specs = [runners.spec("sleep", "1000") for _ in range(6)]
    started = {spec.runner_id: await runners.launch(spec) for spec in specs}
    before = descriptors()
    watch = ExitWatch(runners.home, exits.append, orphans.append)
    for runner_id, one in started.items():
        watch.add(runner_id, one.identity, one.wrapper)
        watch.add(runner_id, one.identity, one.wrapper)  # watched already
    assert descriptors() == before + 2 * len(specs)
    names = list(started)
    watch.remove(names[0])
    watch.remove(names[0])
    for name in names[1:4]:  # their wrappers write it down
        agent = started[name].identity
        assert agent is not None
        send(agent, signal.SIGKILL)
    for name in names[4:]:  # nobody is left to
        await end([one for one in (started[name].wrapper, started[name].identity) if one], grace=0)
    await until(lambda: len(exits) == 5)
    assert sorted(exits) == sorted(names[1:])
    assert not any(name in watch for name in names)
    assert descriptors() == before
    watch.close()
    assert descriptors() == before


async def test_closing_leaves_no_descriptor_and_no_timer(runners: Runners) -> None:
    spec = runners.spec("sleep", "1000")
    started = await runners.launch(spec)
    before = descriptors()
    exits: list[str] = []
    watch = ExitWatch(runners.home, exits.append)
    watch.add(spec.runner_id, started.identity, started.wrapper)
    watch.close()
    assert (descriptors(), spec.runner_id in watch) == (before, False)
    await end([one for one in (started.identity, started.wrapper) if one], grace=0)
    assert exits == []


async def test_a_runner_of_which_nothing_is_known_has_ended(runners: Runners) -> None:
    exits: list[str] = []
    watch = ExitWatch(runners.home, exits.append)
    watch.add("unknown.1", None, None)
    await until(lambda: exits == ["unknown.1"])


async def test_an_exit_that_cannot_be_read_yet_is_asked_for_again(runners: Runners) -> None:
    run, told = runners.files(runners.spec("sleep")), list[ExitRecord | None]()
    run.path.mkdir()
    (run.path / "exit").symlink_to("exit")
    with subprocess.Popen(["sleep", "1000"]) as process:
        watch = ExitWatch(runners.home, lambda _: told.append(run.exit()))
        watch.add(run.runner_id, identify(process.pid), identify(os.getpid()))  # a wrapper that lives on
        process.kill()
    await until(lambda: watch._watched[run.runner_id].agent not in watch._watched[run.runner_id].awaited)
    assert told == []  # it has looked, and has seen nothing
    (run.path / "written").write_text("7\n1.0\n")
    (run.path / "written").rename(run.path / "exit")
    await until(lambda: told, what="the end")
    assert [one.code for one in told if one] == [7]
    watch.close()
