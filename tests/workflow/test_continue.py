"""Continue-as-new: months go by, and nothing is lost between two runs."""

from stratavore.models.session import GrantSignal, Policy
from stratavore.models.states import ExitKind, SessionState
from stratavore.search_attributes import HOST
from tests.support.sessions import Session, Sessions, host_worker, session_worker
from tests.support.waiting import until
from tests.support.world import World
from workflows.session import SessionWorkflow

SHORT = Policy(history_length=40)


async def nudge(session: Session, times: int) -> None:
    """Make the history longer."""
    for _ in range(times):
        await session.handle.signal(SessionWorkflow.grant, GrantSignal())


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
    await until(lambda: world.log.count("stop") == 2)
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
