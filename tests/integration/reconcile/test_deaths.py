"""A daemon that dies in the middle of a repair: the next run repairs what is left, and nothing is done twice."""

from contextlib import suppress
from typing import Any

import pytest

from cli.client import Unanswered
from tests.integration.worker.watching import events, running, terminate_workflow
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until


@pytest.mark.parametrize(("moment", "left"), [("before", 2), ("after", 1)])
async def test_the_next_run_repairs_what_is_left(daemon_process: DaemonProcess, moment: str, left: int) -> None:
    daemon = daemon_process
    await daemon.start(kill_at=f"reconcile.{moment}")
    paused, _ = await running(daemon, ["cat"])
    taken_up, _ = await running(daemon, ["cat"])
    await daemon.command(paused, "pause")
    await daemon.wait(paused, "paused")
    for session in (paused, taken_up):
        await terminate_workflow(daemon, session)
    with suppress(Unanswered):
        await daemon.call("reconcile")
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start()
    found: list[dict[str, Any]] = (await daemon.call("reconcile"))["differences"]
    assert [one["outcome"] for one in found] == ["repaired"] * left
    assert (await daemon.call("reconcile"))["differences"] == []
    await daemon.wait(paused, "ended")
    await daemon.wait(taken_up, "running")
    assert len(await events(daemon, paused, "session.ended")) == 1
    for session in (paused, taken_up):
        assert len(await events(daemon, session, "system.reconciled")) == 1
