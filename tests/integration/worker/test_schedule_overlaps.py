"""A launch that is due while the last session lives: left out, kept for later, made beside it, or in its place."""

from typing import Any
from uuid import uuid4

import pytest

from stratavore.errors import RemoteError
from tests.integration.worker.test_scheduled_launches import run, scheduled, sessions, shown, trigger
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer


async def next_session(daemon: DaemonProcess, schedule: dict[str, Any], last: str) -> str:
    """What was launched after that one."""

    async def look() -> str | None:
        found = (await shown(daemon, schedule))["last_session_id"]
        return str(found) if found != last else None

    return str(await answer(look, what="the next session"))


async def test_what_is_due_while_the_last_session_lives_is_left_out(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"], interactive=True)
    session = await run(daemon, schedule)
    await daemon.wait(session, "running")
    with pytest.raises(RemoteError, match=f"launches nothing while its session {session[:8]} has not ended"):
        await run(daemon, schedule)
    await trigger(daemon, schedule)

    async def skipped() -> bool:
        return bool((await shown(daemon, schedule))["skipped"] == 1)

    await answer(skipped, what="a time that was left out")
    assert await sessions(daemon) == [session]
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")

    async def runs_again() -> str | None:  # its run ends a moment after the session
        try:
            return await run(daemon, schedule)
        except RemoteError as busy:
            assert busy.code == "schedule_busy"
            return None

    again = await answer(runs_again, what="a launch after the end of the last session")
    assert again not in (None, session)


async def test_one_that_replaces_ends_the_last_session_first(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"], interactive=True, overlap="replace")
    first = await run(daemon, schedule)
    await daemon.wait(first, "running")
    await trigger(daemon, schedule)
    await daemon.wait(first, "ended")
    await daemon.wait(await next_session(daemon, schedule, first), "running")
    assert len(await sessions(daemon)) == 2


async def test_one_that_buffers_launches_one_when_the_last_session_has_ended(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"], interactive=True, overlap="buffer")
    first = await run(daemon, schedule)
    await daemon.wait(first, "running")
    answered = await daemon.call("run_schedule", name=schedule["name"], request_id=str(uuid4()))
    assert answered["last_session_id"] == first

    async def buffered() -> bool:
        return bool((await shown(daemon, schedule))["buffered"] == 1)

    await answer(buffered, what="the one more that is kept")
    await trigger(daemon, schedule)

    async def left_out() -> bool:
        return bool((await shown(daemon, schedule))["skipped"] == 1)

    await answer(left_out, what="the end of the one more, of which none is kept")
    assert await sessions(daemon) == [first]
    await daemon.command(first, "terminate")
    second = await next_session(daemon, schedule, first)
    await daemon.wait(second, "running")
    found = await shown(daemon, schedule)
    assert (found["buffered"], found["skipped"]) == (0, 1)
    assert await sessions(daemon) == [first, second]


async def test_one_that_allows_it_launches_sessions_beside_each_other(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"], interactive=True, overlap="allow")
    first = await run(daemon, schedule)
    second = await run(daemon, schedule)
    third = await run(daemon, schedule)
    assert len({first, second, third}) == 3
    for session in (first, second, third):
        await daemon.wait(session, "running")
    assert sorted(await sessions(daemon)) == sorted([first, second, third])
    found = await shown(daemon, schedule)
    assert (found["buffered"], found["skipped"]) == (0, 0)
