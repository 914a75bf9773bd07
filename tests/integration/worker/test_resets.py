"""A day of limits that begins anew: who waited for it is let in, in order, and once."""

from typing import Any

from stratavore.naming import QUOTAS_RESET
from tests.integration.reconcile.test_schedules import described, handle, run
from tests.integration.worker.watching import running
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until

TOKENS = "max_tokens_per_day"


async def _used(daemon: DaemonProcess, session: str, tokens: int) -> None:
    """Let the session's project have used tokens today, and tomorrow: midnight may come amid a test."""
    await daemon.fetch(
        "INSERT INTO tokens_by_day (day, project_id, host, tokens)"
        " SELECT (now() AT TIME ZONE 'UTC')::date + later, project_id, 'test', $2"
        " FROM sessions, generate_series(0, 1) AS later WHERE id = $1",
        session,
        tokens,
    )


async def _a_day_passes(daemon: DaemonProcess) -> None:
    await daemon.fetch("UPDATE tokens_by_day SET day = day - 2")


async def _let_in(daemon: DaemonProcess) -> list[str]:
    """Sessions in the order in which they took their slots."""
    rows = await daemon.fetch("SELECT session_id::text FROM admissions WHERE granted_at IS NOT NULL ORDER BY ticket")
    return [row["session_id"] for row in rows]


async def _told(daemon: DaemonProcess) -> list[Any]:
    rows = await daemon.fetch("SELECT key FROM events WHERE type = 'quota.reset'")
    return [row["key"] for row in rows]


async def _three_wait(daemon: DaemonProcess) -> list[str]:
    """Sessions that wait for the next day, as their project has used what it may use today."""
    first, _ = await running(daemon, ["cat"])
    await _used(daemon, first, 100)
    (row,) = await daemon.fetch(
        "SELECT name FROM projects JOIN sessions ON projects.id = project_id WHERE sessions.id = $1", first
    )
    await daemon.call("set_quota", project=row["name"], name=TOKENS, value=100)
    waiting = []
    for _ in range(3):
        (session,) = await daemon.launch(row["name"])
        await daemon.wait(session, "queued")
        waiting.append(session)
    return [first, *waiting]


async def test_who_waits_for_the_next_day_is_let_in_when_it_begins(daemon: DaemonProcess) -> None:
    first, *waiting = await _three_wait(daemon)
    await described(daemon, QUOTAS_RESET)
    await (await handle(daemon, QUOTAS_RESET)).pause()  # its own time may come now
    assert (await run(daemon, QUOTAS_RESET)).endswith(": 0 sessions let in")  # it has not begun
    assert await _let_in(daemon) == [first]
    await _a_day_passes(daemon)
    assert (await run(daemon, QUOTAS_RESET)).endswith(": 3 sessions let in")
    for session in waiting:
        await daemon.wait(session, "running")
    assert await _let_in(daemon) == [first, *waiting]
    assert len(await _told(daemon)) in (1, 2)  # of each day once, however often
    schedule = (await described(daemon, QUOTAS_RESET)).schedule
    (midnight,) = schedule.spec.calendars
    assert [one.start for part in (midnight.hour, midnight.minute, midnight.second) for one in part] == [0, 0, 0]
    assert schedule.spec.time_zone_name == "UTC"


async def test_a_session_waits_for_its_own_tokens_until_they_are_raised_or_a_day_passes(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    await described(daemon, QUOTAS_RESET)
    await (await handle(daemon, QUOTAS_RESET)).pause()
    await daemon.fetch(
        "INSERT INTO usage (session_id, message_id, runner_id, at, input_tokens, output_tokens, cache_creation_tokens,"
        " cache_read_tokens)"
        " SELECT $1, 'm' || later, $1::uuid::text || '.1', now() + later * interval '1 day', 100, 0, 0, 0"
        " FROM generate_series(0, 1) AS later",
        session,
    )
    await daemon.call("set_quota", project=session[:8], name=TOKENS, value=100)
    for _ in range(2):
        await daemon.command(session, "pause")
        await daemon.wait(session, "paused")
        await daemon.command(session, "resume")
        await daemon.wait(session, "limited")
        (shown,) = [one for one in await daemon.call("list_sessions") if one["session_id"] == session]
        assert shown["reason"].startswith("100 of 100 tokens used today by this session; it goes on at ")
        await daemon.call("set_quota", project=session, name=TOKENS, value=101)
        await daemon.wait(session, "running")
        await daemon.call("set_quota", project=session, name=TOKENS, value=100)
    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")
    await daemon.command(session, "resume")
    await daemon.wait(session, "limited")
    await daemon.fetch("UPDATE usage SET at = at - interval '2 days'")
    assert (await run(daemon, QUOTAS_RESET)).endswith(": 1 session let in")
    await daemon.wait(session, "running")


async def test_a_daemon_that_dies_over_it_leaves_nobody_waiting(daemon_process: DaemonProcess) -> None:
    """Their slots are granted, and the daemon dies before it told them so."""
    daemon = daemon_process
    await daemon.start(kill_at="quota.let_in.after")
    await described(daemon, QUOTAS_RESET)
    await (await handle(daemon, QUOTAS_RESET)).pause()
    _, *waiting = await _three_wait(daemon)
    await _a_day_passes(daemon)
    await (await handle(daemon, QUOTAS_RESET)).trigger()
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start()
    for session in waiting:
        await daemon.wait(session, "running")
