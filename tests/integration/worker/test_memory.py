"""Limits of memory, measured: more is told, and ended if so configured; less lets in who waits."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from stratavore.runtime.tmux import Tmux
from stratavore.store.database import Database
from tests.integration.worker.watching import ended, events, running
from tests.support.daemon import DaemonProcess
from tests.support.terminal import person_terminal
from tests.support.waiting import answer, until
from worker.memory import MemoryLimits

MEMORY = "max_memory_mb"
PAUSE = {"STRATAVORE_QUOTAS__MEMORY_ACTION": "pause", "STRATAVORE_QUOTAS__MEMORY_GRACE_SECONDS": "0"}
TERMINATE = PAUSE | {"STRATAVORE_QUOTAS__MEMORY_ACTION": "terminate"}


def needs(megabytes: int, until_gone: Path | None = None) -> list[str]:
    """An agent that uses so much memory more, until a file is gone."""
    path = str(until_gone) if until_gone else ""
    return [
        sys.executable,
        "-c",
        "import os, time\n"
        f"x = b'x' * ({megabytes} << 20)\n"
        f"while not {path!r} or os.path.exists({path!r}): time.sleep(0.1)\n"
        "x = None\n"
        "while True: time.sleep(1)",
    ]


async def alerts(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """What was told of limits of memory."""
    rows = await daemon.fetch("SELECT data::text FROM events WHERE type = 'system.alert' ORDER BY time")
    found = [json.loads(row["data"]) for row in rows]
    return [one for one in found if one.get("limit") == MEMORY]


async def told(daemon: DaemonProcess) -> dict[str, Any]:
    """The first of them, once there is one."""

    async def look() -> Any:
        return await alerts(daemon)

    return dict((await answer(look, what="an alert"))[0])


async def measured(daemon: DaemonProcess, session: str, least: int) -> None:
    """Until it was measured to use at least so much."""

    async def look() -> Any:
        return await daemon.fetch("SELECT FROM runners WHERE session_id = $1 AND memory_mb >= $2", session, least)

    await answer(look, what="a measurement")


async def test_more_than_a_session_may_have_is_told_once_and_by_default_no_more(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, needs(40))
    await measured(daemon, session, 40)
    database = await Database.open(daemon.dsn, b"k" * 32, connections=4)
    try:
        other = MemoryLimits(database, await daemon.client(), "warn", timedelta(0))
        await daemon.call("set_quota", project=session[:8], name=MEMORY, value=30)
        for _ in range(10):  # beside the daemon
            await asyncio.gather(*(other.look() for _ in range(3)))
        alert = await told(daemon)
        assert (alert["scope"], alert["scope_id"], alert["value"]) == ("session", session, 30)
        assert alert["message"].startswith(f"the session {session[:8]} used ")
        assert len(await alerts(daemon)) == 1
        # It is kept again, and passed once more.
        await daemon.call("set_quota", project=session[:8], name=MEMORY, value=1000)
        await other.look()
        await until_kept(daemon)
        await daemon.call("set_quota", project=session[:8], name=MEMORY, value=30)

        async def again() -> bool:
            return len(await alerts(daemon)) == 2

        await answer(again, what="another alert")
    finally:
        await database.close()
    (shown,) = await daemon.call("list_sessions")
    assert shown["state"] == "running"


async def until_kept(daemon: DaemonProcess) -> None:
    """Until no limit counts as passed."""

    async def look() -> bool:
        return not await daemon.fetch("SELECT FROM memory_over")

    await answer(look, what="kept limits")


async def test_of_a_project_the_largest_is_put_away_also_if_the_daemon_dies_over_it(
    daemon_process: DaemonProcess,
) -> None:
    daemon = daemon_process
    await daemon.start(kill_at="hold.signal.before", settings=PAUSE)
    project = await daemon.project(needs(20))
    (small,) = await daemon.launch(project)
    (large,) = await daemon.launch(project, argv=needs(80))
    await daemon.wait(small, "running")
    await daemon.wait(large, "running")
    await measured(daemon, large, 80)
    await measured(daemon, small, 20)
    await daemon.call("set_quota", project=project, name=MEMORY, value=90)
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start(settings=PAUSE)
    await daemon.wait(large, "paused")
    (shown,) = [one for one in await daemon.call("list_sessions") if one["session_id"] == large]
    assert "of 90 MB, " in shown["reason"]
    assert (await ended(daemon, large, 1))["status"] == "paused"
    assert len(await events(daemon, large, "session.paused")) == 1
    await until_kept(daemon)
    assert [one.get("session_id") for one in await alerts(daemon)] == [None, large]
    await daemon.wait(small, "running")


async def test_who_is_looked_at_is_spared_if_another_one_is_enough(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await daemon.start(settings=TERMINATE)
    large, _ = await running(daemon, needs(80))
    small, _ = await running(daemon, needs(40))
    await measured(daemon, large, 80)
    await measured(daemon, small, 40)
    runner = f"{large}.1"
    (row,) = await daemon.fetch("SELECT project_id::text FROM sessions WHERE id = $1", large)

    async def seen() -> Any:
        return await daemon.fetch("SELECT FROM runners WHERE id = $1 AND attached", runner)

    with person_terminal(Tmux(daemon.home).attach_argv(row["project_id"], runner, read_only=True)):
        await answer(seen, what="that somebody looks")
        (used,) = await daemon.fetch("SELECT sum(memory_mb)::float8 AS mb FROM runners")
        await daemon.call("set_quota", project=None, name=MEMORY, value=int(used["mb"]) - 20)
        await daemon.wait(small, "ended")
        await until_kept(daemon)
        assert [one.get("session_id") for one in await alerts(daemon)] == [None, small]


async def test_who_waits_for_memory_is_let_in_when_there_is_less(daemon: DaemonProcess, tmp_path: Path) -> None:
    marker = tmp_path / "large"
    marker.touch()
    first, _ = await running(daemon, needs(350, until_gone=marker))
    await measured(daemon, first, 350)
    await daemon.call("set_quota", project=None, name=MEMORY, value=300)
    (waits,) = await daemon.launch(await daemon.project(["cat"]))
    await daemon.wait(waits, "queued")
    marker.unlink()
    await daemon.wait(waits, "running")
