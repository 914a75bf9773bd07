"""A daemon that can open nothing more: it concludes nothing from that, and goes on where it was."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from stratavore.runtime.processes import Liveness, liveness, send
from stratavore.runtime.rundir import RunDirectory
from tests.integration.worker.watching import ended, events, generation, running
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until


@contextmanager
def no_descriptor_left(daemon: DaemonProcess) -> Iterator[None]:
    """What is open stays open."""
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))


async def test_an_end_is_told_as_it_was_and_nobody_else_is_touched(daemon: DaemonProcess) -> None:
    over = daemon.home.root / "over"
    completes, _ = await running(daemon, ["/bin/sh", "-c", f"until [ -e {over} ]; do sleep 0.1; done"])
    killed, mortal = await running(daemon, ["cat"])
    lives, agent = await running(daemon, ["cat"])
    with no_descriptor_left(daemon):
        over.touch()
        send(mortal, signal.SIGKILL)
        for runner_id in (f"{completes}.1", f"{killed}.1"):
            await until(RunDirectory(daemon.home, runner_id).exit, what="the exit")
            await has_tried(daemon, runner_id)
        assert liveness(agent) is Liveness.ALIVE
    await daemon.wait(completes, "ended")
    end = await ended(daemon, completes, 1)
    assert (end["exit_kind"], end["exit_code"]) == ("completed", 0)
    await generation(daemon, killed, 2)
    assert (await ended(daemon, killed, 1))["exit_code"] == 128 + signal.SIGKILL
    assert (await generation(daemon, lives, 1))[1] == agent
    assert await events(daemon, lives, "runner.failed") == []
    assert (await daemon.call("reconcile"))["differences"] == []
    os.kill(agent.pid, signal.SIGKILL)  # and it is watched as before
    await generation(daemon, lives, 2)


async def has_tried(daemon: DaemonProcess, runner_id: str) -> None:
    """Wait until the daemon has tried to tell the end of a runner."""
    await until(lambda: f"the end of {runner_id} could not be told" in daemon.log.read_text(), what="a try")
