"""A workflow was terminated by hand; a command starts it again, on the runner that is still there."""

import uuid
from typing import Any

import pytest

from stratavore.models.session import PauseSignal, ResumeSignal, TerminateSignal
from stratavore.models.states import ExitKind, SessionState
from stratavore.search_attributes import HOST
from tests.support.sessions import Session, Sessions


async def terminated_by_hand(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    await session.handle.terminate()
    return session


async def take_up(sessions: Sessions, session: Session, signal: str, kind: Any) -> None:
    await sessions.start(
        session.id, adopts=True, resumes=True, signal=signal, message=kind(request_id=str(uuid.uuid4()))
    )


async def test_a_live_runner_is_adopted_and_shown(sessions: Sessions) -> None:
    world = sessions.world
    session = await terminated_by_hand(sessions)
    await take_up(sessions, session, "resume", ResumeSignal)
    await session.shows(SessionState.RUNNING)
    assert (await session.handle.describe()).typed_search_attributes[HOST] == world.host
    assert "runner 1 on host" in await session.details()
    assert world.holders == {session.id}
    await session.ends(ExitKind.COMPLETED)
    assert await session.result() == "it completed"
    assert world.log.count("admit") == 1
    assert (world.holders, world.doubled) == (set(), [])


@pytest.mark.parametrize(
    ("signal", "kind", "state"),
    [("terminate", TerminateSignal, SessionState.ENDED), ("pause", PauseSignal, SessionState.PAUSED)],
)
async def test_a_live_runner_is_ended_with_its_session(
    sessions: Sessions, signal: str, kind: Any, state: SessionState
) -> None:
    world = sessions.world
    session = await terminated_by_hand(sessions)
    await take_up(sessions, session, signal, kind)
    await session.shows(state)
    assert (world.running, world.holders, world.states) == (set(), set(), [state])
    if state is SessionState.PAUSED:
        await session.terminate()
    assert await session.result() == "ended on request"


async def test_there_is_no_runner_left(sessions: Sessions) -> None:
    world = sessions.world
    session = await terminated_by_hand(sessions)
    world.running.clear()
    await take_up(sessions, session, "resume", ResumeSignal)
    await session.runs(2)
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_no_runner_is_left_and_the_session_is_to_end(sessions: Sessions) -> None:
    world = sessions.world
    session = await terminated_by_hand(sessions)
    world.running.clear()
    await take_up(sessions, session, "terminate", TerminateSignal)
    assert await session.result() == "ended on request"
    assert (len(world.launches), world.holders) == (1, set())


async def test_adopted_once_and_continued(sessions: Sessions) -> None:
    """A run that continues an adopting one does not look again."""
    session = await terminated_by_hand(sessions)
    await take_up(sessions, session, "resume", ResumeSignal)
    await session.shows(SessionState.RUNNING)
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    assert sessions.world.log.count("find") == 1
    await session.terminate()
    assert await session.result() == "ended on request"
