"""A session's whole life: what it does, in which order, and what it shows."""

from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from stratavore.search_attributes import HOST, STATE
from tests.support.sessions import Sessions
from tests.support.waiting import until


async def test_an_agent_that_ends_by_itself(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await until(lambda: "supervise" in world.log)
    await session.ends(ExitKind.COMPLETED)
    assert await session.result() == "it completed"
    assert world.log == ["admit", "place", "launch", "supervise", "record ended"]
    (record,) = world.records
    assert (record.status, record.release) == (RunnerStatus.TERMINATED, True)
    assert record.exit is not None
    assert record.exit.runner_id == session.runner(1)
    assert not world.holders


async def test_the_web_ui_and_searches_are_told(sessions: Sessions) -> None:
    session = await sessions.start()
    await session.runs()
    details = await session.details()
    assert details.startswith("**running**")
    assert f"runner 1 on host `{sessions.world.host}`" in details
    assert f"stratavore attach {session.id[:8]}" in details
    description = await session.handle.describe()
    assert await description.static_summary() == "site: true"
    assert description.typed_search_attributes[HOST] == sessions.world.host
    await session.pause()
    await session.shows(SessionState.PAUSED)
    assert (await session.details()).startswith("**paused**")
    await session.terminate()
    assert await session.result() == "ended on request"
    assert (await session.handle.describe()).typed_search_attributes[STATE] == SessionState.ENDED


async def test_a_crash_is_relaunched_and_the_session_keeps_its_slot(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    assert session.id in world.holders
    assert world.states == [SessionState.RECOVERING]
    assert world.records[0].status is RunnerStatus.FAILED
    assert world.log.count("admit") == 1
    assert [one.resume for one in world.launches] == [False, True]
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_what_cannot_start_the_first_time_ends(sessions: Sessions) -> None:
    sessions.world.ends_before_running.append(ExitKind.REFUSED)
    session = await sessions.start()
    assert await session.result() == "it refused"
    assert sessions.world.records[0].status is RunnerStatus.FAILED
    assert not sessions.world.holders


async def test_what_cannot_start_again_is_parked_until_somebody_resumes(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.ends_before_running.append(ExitKind.REFUSED)
    await session.ends(ExitKind.LOST)
    await session.shows(SessionState.PARKED)
    assert not world.holders
    await session.resume()
    await session.runs(3)
    assert world.states == [SessionState.RECOVERING, SessionState.PARKED]
    await session.terminate()
    await session.result()
