"""Continue-as-new: months go by, and nothing is lost between two runs."""

import asyncio
import json
from datetime import timedelta

from temporalio.api.enums.v1 import EventType

from stratavore.models.session import ACTIONS_A_RUN, GrantSignal, Policy
from stratavore.models.states import ExitKind, SessionState
from stratavore.search_attributes import HOST
from tests.support.histories import replay
from tests.support.sessions import Session, Sessions, host_worker, session_worker
from tests.support.waiting import until
from tests.support.world import World
from workflows.session import SessionWorkflow

SHORT = Policy(actions_a_run=20)


async def workflow_tasks(session: Session) -> int:
    """How many workflow tasks its present run has completed."""
    history = await session.handle.fetch_history()
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in history.events)


async def until_heard(session: Session) -> None:
    """Wait until no workflow task is left to do."""
    while (await session.handle.describe()).raw_description.pending_workflow_task.ByteSize():
        await asyncio.sleep(0.02)


async def nudge(session: Session, times: int) -> None:
    """Make the history longer."""
    for _ in range(times):
        await session.handle.signal(SessionWorkflow.grant, GrantSignal())


async def test_a_run_continues_after_as_many_actions_as_it_was_told(sessions: Sessions) -> None:
    session = await sessions.start(policy=SHORT)
    await session.runs()  # admitted, placed, launched, supervised
    first = await session.run_id()
    await nudge(session, 15)
    await session.says("running")  # a query is answered when all of that is heard
    assert await session.run_id() == first
    await nudge(session, 1)
    await session.continues(first)
    await session.terminate()
    await session.result()


async def test_a_session_from_before_runs_counted_does_so_from_its_next_run_on(sessions: Sessions) -> None:
    session = await sessions.start(policy=Policy(history_length=40))
    await session.runs()
    for _ in range(2):
        run = await session.run_id()
        await nudge(session, ACTIONS_A_RUN)
        await session.continues(run)
    await session.terminate()
    await session.result()


async def test_a_replay_begins_the_next_run_where_a_step_outlived_its_workflow_task(sessions: Sessions) -> None:
    """The renewals of a task that follows one without commands make the history's length another one in a replay."""
    world = sessions.world
    session = await sessions.start(policy=Policy(actions_a_run=7), task_timeout=timedelta(seconds=1))
    await session.runs()
    await session.send("which is the fifth, and typing it the sixth")
    await until(lambda: world.typed)
    await until_heard(session)  # the seventh is to record its end
    first = await session.run_id()
    gate = world.hold("record")
    await session.ends(ExitKind.CRASHED)
    await until(lambda: "record is held" in world.log)
    tasks = await workflow_tasks(session)
    while await workflow_tasks(session) < tasks + 1:
        await asyncio.sleep(0.05)
    gate.set()
    await session.continues(first)
    await session.runs(2)
    await session.terminate()
    await session.result()
    run = world.client.get_workflow_handle(session.handle.id, run_id=first)
    await replay(json.loads((await run.fetch_history()).to_json()), SessionWorkflow)


async def test_a_live_runner_is_supervised_by_the_next_run(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start(policy=SHORT)
    await session.runs()
    first = await session.run_id()
    await session.send("one", "the same")
    for number in range(20):
        await session.send(f"text {number}")
    await until(lambda: len(world.typed) == 21)
    await session.continues(first)
    await until(lambda: world.log.count("supervise") > 1)
    assert len(world.launches) == 1
    await session.send("one", "the same")
    await session.send("last")
    await until(lambda: "last" in world.typed)
    assert world.typed.count("one") == 1
    description = await session.handle.describe()
    assert description.typed_search_attributes[HOST] == world.host
    # The server keeps no static summary for the next run; the details say the same.
    assert "runs `true`" in await session.details()
    await session.ends(ExitKind.COMPLETED)
    assert await session.result() == "it completed"


async def test_a_text_under_way_holds_the_next_run_back_and_supervision_goes_on(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start(policy=SHORT)
    await session.runs()
    first = await session.run_id()
    gate = world.hold("send")
    await session.send("slow")
    await until(lambda: "send is held" in world.log)
    await nudge(session, 40)
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    assert await session.run_id() == first
    gate.set()
    await until(lambda: world.typed == ["slow"])
    await nudge(session, 1)
    await session.continues(first)
    await session.ends(ExitKind.COMPLETED, 2)
    assert await session.result() == "it completed"
    assert world.states == [SessionState.RECOVERING, SessionState.ENDED]


async def test_a_prompt_that_waits_for_its_agent_is_handed_to_the_next_run(sessions: Sessions) -> None:
    """A trust dialog can be open for days, and each try writes the whole prompt into the history."""
    world = sessions.world
    world.unready = tries = 1000
    session = await sessions.start(policy=SHORT, prompt="the first words")
    await session.runs()
    await until(lambda: world.unready < tries)
    for _ in range(2):
        run = await session.run_id()
        await nudge(session, 40)
        await session.continues(run)
    assert world.typed == []
    world.unready = 0
    await session.send("later")
    await until(lambda: world.typed == ["the first words", "later"])
    await session.terminate()
    await session.result()


async def test_what_waits_to_be_told_again_is_handed_to_the_next_run(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start(policy=SHORT)
    await session.runs()
    world.unheard.append("what the one before died with")
    world.unready = tries = 1000
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    await until(lambda: world.unready < tries)
    run = await session.run_id()
    await nudge(session, 40)
    await session.continues(run)
    world.unready = 0
    await until(lambda: world.typed == ["what the one before died with"])
    await session.terminate()
    await session.result()
    assert len(world.typed) == 1


async def test_a_prompt_that_is_being_typed_holds_the_next_run_back(sessions: Sessions) -> None:
    world = sessions.world
    gate = world.hold("send")
    session = await sessions.start(policy=SHORT, prompt="the first words")
    await session.runs()
    await until(lambda: "send is held" in world.log)
    first = await session.run_id()
    await nudge(session, 40)
    await until_heard(session)
    assert await session.run_id() == first
    gate.set()
    await session.continues(first)
    assert world.typed == ["the first words"]
    await session.terminate()
    await session.result()


async def test_an_end_that_comes_with_what_makes_the_history_long(world: World) -> None:
    """Signals are run first; the run that they end must not take the runner's end along."""
    sessions = Sessions(world)
    async with host_worker(world):
        async with session_worker(world, remembers=False):
            session = await sessions.start(policy=SHORT)
            await session.runs()
        await nudge(session, 40)
        await session.ends(ExitKind.COMPLETED)
        async with session_worker(world, remembers=False):
            assert await session.result() == "it completed"


async def test_a_cancellation_that_comes_with_what_makes_the_history_long(world: World) -> None:
    sessions = Sessions(world)
    async with host_worker(world):
        async with session_worker(world, remembers=False):
            session = await sessions.start(policy=SHORT)
            await session.runs()
            await session.pause()
            await session.shows(SessionState.PAUSED)
        await nudge(session, 40)
        await session.handle.cancel()
        async with session_worker(world, remembers=False):
            assert await session.result() == "ended on request"


async def test_a_stop_that_was_asked_for_is_asked_for_again(sessions: Sessions) -> None:
    """And the exit that follows says nothing about the agent, also after a resume."""
    world = sessions.world
    world.stubborn = True
    session = await sessions.start(policy=SHORT)
    await session.runs()
    first = await session.run_id()
    await session.pause()
    await until(lambda: "stop" in world.log)
    await session.resume()
    await nudge(session, 40)
    await until(lambda: world.log.count("stop") >= 2)
    await session.continues(first)
    await session.ends(ExitKind.COMPLETED)
    await session.runs(2)
    assert world.states == [SessionState.RECOVERING]
    await session.terminate(force=True)
    await session.result()


async def test_paused_and_waiting_sessions_continue_too(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    session = await sessions.start(policy=SHORT)
    await session.runs()
    waiting = await sessions.start(policy=SHORT)
    await waiting.says("place 1 in line")
    for one in (session, waiting):
        first = await one.run_id()
        await nudge(one, 40)
        await one.continues(first)
    await session.pause()
    await waiting.runs()
    await session.shows(SessionState.PAUSED)
    first = await session.run_id()
    await nudge(session, 40)
    await session.continues(first)
    await waiting.terminate()
    await waiting.result()
    await session.resume()
    await session.runs(2)
    await session.terminate()
    assert await session.result() == "ended on request"
    assert (world.holders, world.line, world.doubled) == (set(), [], [])
