"""Restart: the runner ends, and the next one of the same session begins."""

from stratavore.models.session import Policy, RestartSignal
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from tests.support.sessions import Sessions, host_worker, session_worker
from tests.support.waiting import until
from tests.support.world import World


async def test_the_next_runner_begins_when_the_last_has_ended(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.restart()
    await session.runs(2)
    assert (world.live(session.id), world.doubled) == ([session.runner(2)], [])
    (record,) = world.records
    assert (record.state, record.status, record.release) == (SessionState.RECOVERING, RunnerStatus.TERMINATED, False)
    assert world.launches[1].resume
    await session.terminate()
    await session.result()


async def test_a_restart_is_no_crash_and_forgives_those_before(sessions: Sessions) -> None:
    session = await sessions.start(policy=Policy(crashes_before_park=2))
    await session.runs()
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    for generation in (2, 3, 4):
        await session.restart(generation)
        await session.runs(generation + 1)
    await session.ends(ExitKind.CRASHED, 5)
    await session.runs(6)
    await session.terminate()
    await session.result()


async def test_who_means_an_earlier_runner_and_who_repeats_himself_harms_no_later_one(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.restart(1, "once")
    await session.runs(2)
    await session.restart(2, "once")
    await session.restart(1)
    await session.send("still here")
    await until(lambda: world.typed)
    assert world.live(session.id) == [session.runner(2)]
    assert world.log.count("stop") == 1
    await session.terminate()
    await session.result()


async def test_before_the_workflow_knows_that_it_runs(sessions: Sessions) -> None:
    """People see it as soon as the launch has written it."""
    world = sessions.world
    gate = world.hold("launch")
    session = await sessions.start()
    await until(lambda: session.runner(1) in world.running)
    await session.restart()
    world.gates.clear()
    gate.set()
    await session.runs(2)
    assert world.doubled == []
    await session.terminate()
    await session.result()


async def test_a_pause_and_an_end_come_before_it(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await sessions.start()
    await session.runs()
    await session.restart()
    await until(lambda: "stop" in world.log)
    await session.pause()
    await session.ends(ExitKind.COMPLETED)
    await session.shows(SessionState.PAUSED)
    await session.resume()
    await session.runs(2)
    await session.restart(2)
    await until(lambda: world.log.count("stop") >= 2)
    await session.terminate(force=True)
    assert await session.result() == "ended on request"
    assert world.states == [SessionState.PAUSED, SessionState.ENDED]


async def test_it_is_remembered_by_the_next_run(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await sessions.start(policy=Policy(actions_a_run=15))
    await session.runs()
    first = await session.run_id()
    await session.restart()
    await until(lambda: "stop" in world.log)
    for number in range(40):
        await session.restart(0, f"nothing {number}")
    await session.continues(first)
    await until(lambda: world.log.count("stop") >= 2)
    await session.ends(ExitKind.COMPLETED)
    await session.runs(2)
    await session.terminate(force=True)
    await session.result()


async def test_of_a_session_whose_workflow_was_terminated_by_hand(world: World) -> None:
    sessions = Sessions(world)
    async with host_worker(world), session_worker(world):
        session = await sessions.start()
        await session.runs()
        await session.handle.terminate()
        message = RestartSignal(request_id="r", generation=1)
        await sessions.start(session.id, adopts=True, resumes=True, signal="restart", message=message)
        await session.runs(2)
        assert (world.live(session.id), world.doubled) == ([session.runner(2)], [])
        await session.terminate()
        await session.result()
