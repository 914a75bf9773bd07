"""Limits that hold a session: it is put away, and goes on by itself."""

import uuid
from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from stratavore.models.session import Hold, Operator, Policy
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from tests.support.sessions import Sessions
from tests.support.waiting import until

LIMITED = Hold(state=SessionState.LIMITED, reason="its plan is used up", cause="plan/1")
ASKING = Hold(state=SessionState.ASKING, reason="its budget is used up", cause="budget/1")
REQUEST = "a-request"
GOD = Operator(id="g1", user="ann", uid=1, host="h")


async def test_a_held_session_is_put_away_and_goes_on_when_it_is_woken(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.holds[session.id] = ASKING
    await session.hold(ASKING)
    await session.says("**asking**: its budget is used up")
    assert session.id not in world.holders
    assert not world.live(session.id)
    assert [(one.state, one.hold) for one in world.records] == [(SessionState.ASKING, ASKING)]
    await session.wake()  # not yet
    await until(lambda: world.log.count("admit") == 3)
    await session.shows(SessionState.ASKING)
    del world.holds[session.id]
    await session.wake()
    await session.runs(2)
    assert world.launches[-1].resume
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_a_limit_that_is_gone_before_the_session_is_put_away_holds_it_no_longer(sessions: Sessions) -> None:
    session = await sessions.start()
    await session.runs()
    await session.hold(LIMITED)  # and Postgres knows of nothing that holds it, when it is asked
    await session.runs(2)
    await session.terminate()
    await session.result()
    assert sessions.world.states == [SessionState.LIMITED, SessionState.ENDED]


async def test_a_limit_with_a_time_is_waited_out_by_itself_through_weeks_and_new_runs(
    patient_sessions: Sessions, clock: WorkflowEnvironment
) -> None:
    world = patient_sessions.world
    session = await patient_sessions.start(policy=Policy(actions_a_run=15))
    await session.runs()
    first_run = await session.run_id()
    hold = LIMITED.model_copy(update={"until": await clock.get_current_time() + timedelta(weeks=3)})
    world.holds[session.id] = hold
    await session.hold(hold)
    await session.says("**limited**: its plan is used up")
    while await session.run_id() == first_run:  # each look makes its history longer
        looks = world.log.count("admit")
        await session.wake()
        await until(lambda: world.log.count("admit") > looks, what="another look")  # noqa: B023
    await clock.sleep(timedelta(weeks=3) - timedelta(minutes=1))
    assert len(world.launches) == 1
    del world.holds[session.id]
    await clock.sleep(timedelta(minutes=1))
    await session.runs(2)
    await session.terminate()
    await session.result()


async def test_a_held_session_can_be_put_away_and_resumed_and_is_held_again(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.holds[session.id] = LIMITED
    await session.hold(LIMITED)
    await session.shows(SessionState.LIMITED)
    await session.pause()
    await session.shows(SessionState.PAUSED)
    await session.resume()
    await session.shows(SessionState.LIMITED)
    await session.resume(god=GOD)
    await session.runs(2)
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_a_session_that_is_held_before_its_first_runner_waits_without_a_place(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    session_id = str(uuid.uuid4())
    world.holds[session_id] = LIMITED
    held = await sessions.start(session_id)
    await held.shows(SessionState.LIMITED)
    other = await sessions.start()
    await other.runs()
    assert session_id not in world.line
    del world.holds[session_id]
    await held.wake()
    await held.says("**queued**: place 1 in line")
    await other.terminate()
    await held.runs()
    await held.terminate()
    await held.result()
    await other.result()


async def test_a_runner_that_ended_by_itself_at_a_limit_is_not_a_crash(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.holds[session.id] = LIMITED
    world.ends_with = LIMITED
    await session.ends(ExitKind.CRASHED)
    await session.shows(SessionState.LIMITED)
    assert world.records[0].status is RunnerStatus.PAUSED
    await session.terminate()
    await session.result()


async def test_an_end_by_itself_counts_though_a_limit_was_reached(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await sessions.start()
    await session.runs()
    await session.hold(LIMITED.model_copy(update={"state": SessionState.ENDED, "reason": "too dear"}))
    await until(lambda: "stop" in world.log)
    await session.ends(ExitKind.COMPLETED)
    assert await session.result() == "too dear"


async def test_a_limit_can_put_a_session_away_for_good(sessions: Sessions) -> None:
    session = await sessions.start()
    await session.runs()
    await session.hold(LIMITED.model_copy(update={"state": SessionState.PAUSED, "reason": "it took 9 GB"}))
    await session.says("**paused**: it took 9 GB")
    await session.resume()
    await session.runs(2)
    await session.terminate()
    await session.result()


async def test_a_hold_of_an_earlier_runner_and_a_repeated_one_change_nothing(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.hold(LIMITED, request_id=REQUEST)
    await session.runs(2)
    await session.hold(LIMITED, request_id=REQUEST, generation=2)
    await session.hold(LIMITED, generation=1)
    await session.send("still there")
    await until(lambda: world.typed == ["still there"])
    assert world.live(session.id) == [session.runner(2)]
    await session.terminate()
    await session.result()


async def test_a_hold_that_comes_before_its_runner_is_up_ends_it_then(sessions: Sessions) -> None:
    world = sessions.world
    gate = world.hold("launch")
    session = await sessions.start()
    await until(lambda: "launch is held" in world.log)
    world.holds[session.id] = LIMITED
    await session.hold(LIMITED)
    gate.set()
    await session.shows(SessionState.LIMITED)
    assert not world.live(session.id)
    await session.terminate()
    await session.result()
