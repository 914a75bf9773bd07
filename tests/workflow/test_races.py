"""People act on what Postgres shows, a moment before the workflow hears of it."""

import uuid

import pytest

from stratavore.models.session import Policy, ResumeSignal
from stratavore.models.states import ExitKind, SessionState
from tests.support.sessions import Sessions, host_worker, session_worker
from tests.support.waiting import until
from tests.support.world import World


async def test_resumed_before_it_knows_that_it_is_paused(sessions: Sessions) -> None:
    """The slot goes to another session, which is told before the pause is over."""
    world = sessions.world
    world.slots = 1
    session = await sessions.start()
    await session.runs()
    other = await sessions.start()
    await other.says("place 1 in line")
    gate = world.hold("record")
    await session.pause()
    await until(lambda: "record is held" in world.log)
    await session.resume()
    gate.set()
    await session.says("**queued**: place 1 in line")
    await other.runs()
    await other.ends(ExitKind.COMPLETED)
    await session.runs(2)
    await session.terminate()
    await session.result()


async def test_resumed_before_it_knows_that_it_is_parked(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start(policy=Policy(crashes_before_park=1))
    await session.runs()
    gate = world.hold("record")
    await session.ends(ExitKind.CRASHED)
    await until(lambda: "record is held" in world.log)
    await session.resume()
    gate.set()
    await session.runs(2)
    assert world.states == [SessionState.PARKED]
    await session.terminate()
    await session.result()


async def test_resumed_before_it_knows_that_it_has_ended(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    gate = world.hold("record")
    await session.ends(ExitKind.COMPLETED)
    await until(lambda: "record is held" in world.log)
    await session.resume()
    gate.set()
    await session.runs(2)
    assert world.states == [SessionState.ENDED]
    await session.ends(ExitKind.COMPLETED, 2)
    assert await session.result() == "it completed"


@pytest.mark.parametrize(("kind", "state"), [(ExitKind.CRASHED, "parked"), (ExitKind.COMPLETED, "ended")])
async def test_resumed_after_the_worker_that_recorded_it_died(sessions: Sessions, kind: ExitKind, state: str) -> None:
    """The end of the runner and the resume are then heard at once."""
    world = sessions.world
    session = await sessions.start(policy=Policy(crashes_before_park=1))
    await session.runs()
    world.deaths = 1
    gate = world.hold("record")
    await session.ends(kind)
    await until(lambda: "record is held" in world.log)
    await session.resume()
    gate.set()
    await session.runs(2)
    assert world.states == [state]
    await session.terminate()
    await session.result()


async def test_paused_after_the_worker_that_recorded_a_relaunch_died(sessions: Sessions) -> None:
    """What was written counts: the session is put away from there."""
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.deaths = 1
    gate = world.hold("record")
    await session.ends(ExitKind.CRASHED)
    await until(lambda: "record is held" in world.log)
    await session.pause()
    gate.set()
    await session.shows(SessionState.PAUSED)
    assert world.states == [SessionState.RECOVERING, SessionState.PAUSED]
    assert not world.holders
    await session.terminate()
    await session.result()


async def test_ended_again_before_the_resume_was_heard(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    gate = world.hold("record")
    await session.ends(ExitKind.COMPLETED)
    await until(lambda: "record is held" in world.log)
    await session.resume()
    await session.terminate()
    gate.set()
    await session.result()
    assert len(world.launches) == 1


async def test_two_people_resume_at_once_and_the_agent_then_ends(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.pause()
    await session.shows(SessionState.PAUSED)
    gate = world.hold("launch")
    await session.resume()
    await until(lambda: "launch is held" in world.log)
    await session.resume()
    gate.set()
    await session.runs(2)
    await session.ends(ExitKind.COMPLETED, 2)
    assert await session.result() == "it completed"


async def test_an_ended_session_is_resumed_and_ended_in_the_waiting_line(sessions: Sessions) -> None:
    sessions.world.slots = 0
    session = await sessions.start(resumes=True, signal="resume", message=ResumeSignal(request_id=str(uuid.uuid4())))
    await session.says("place 1 in line")
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_resumed_before_the_paused_process_had_ended(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await sessions.start()
    await session.runs()
    await session.pause()
    await until(lambda: "stop" in world.log)
    await session.resume()
    await session.ends(ExitKind.COMPLETED)
    await session.runs(2)
    world.stubborn = False
    await session.terminate()
    await session.result()


async def test_the_worker_goes_away_and_another_one_comes(world: World) -> None:
    sessions = Sessions(world)
    async with host_worker(world):
        async with session_worker(world, remembers=False):
            session = await sessions.start()
            await session.runs()
        await session.ends(ExitKind.CRASHED)
        async with session_worker(world, remembers=False):
            await session.runs(2)
        await session.pause()
        async with session_worker(world, remembers=False):
            await session.shows(SessionState.PAUSED)
        await session.terminate()
        async with session_worker(world, remembers=False):
            assert await session.result() == "ended on request"
    assert world.states == [SessionState.RECOVERING, SessionState.PAUSED, SessionState.ENDED]
    assert not world.doubled


async def test_the_host_is_away_while_the_runner_is_ended(world: World) -> None:
    sessions = Sessions(world)
    async with session_worker(world):
        async with host_worker(world):
            session = await sessions.start()
            await session.runs()
        await session.terminate()
        await session.send("too late")
        await until(lambda: world.refused)
        assert session.runner(1) in world.running
        async with host_worker(world):
            assert await session.result() == "ended on request"
    assert not world.running


@pytest.mark.parametrize(
    ("wish", "state"), [("pause", SessionState.PAUSED), ("terminate", SessionState.ENDED)], ids=["pause", "terminate"]
)
async def test_a_launch_that_comes_through_after_it_was_called_off_is_ended_in_order(
    sessions: Sessions, wish: str, state: SessionState
) -> None:
    """Its host froze. Without this its agent would go on, watched by nobody, in a session that is put away."""
    world = sessions.world
    world.frozen_launches = 1
    session = await sessions.start()
    await until(lambda: "launch" in world.log)
    await getattr(session, wish)()
    await session.shows(state)
    assert not world.running
    (record,) = world.records
    assert (record.state, record.exit is not None, record.release) == (state, True, True)
    if state is SessionState.PAUSED:
        await session.resume()
        await session.runs(2)
