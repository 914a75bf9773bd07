"""Pause, resume, terminate and cancel in every state."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from stratavore.models.session import GrantSignal, Policy
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from tests.support.sessions import Session, Sessions
from tests.support.waiting import until
from tests.support.world import World
from workflows.session import SessionWorkflow

FOR_LONG = Policy(first_backoff=timedelta(hours=1), longest_backoff=timedelta(hours=1))


async def queued(sessions: Sessions) -> Session:
    sessions.world.slots = 0
    session = await sessions.start()
    await session.says("place 1 in line")
    return session


async def starting(sessions: Sessions) -> Session:
    sessions.world.hold("launch")
    session = await sessions.start()
    await until(lambda: "launch is held" in sessions.world.log)
    return session


async def running(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    return session


async def backing_off(sessions: Sessions) -> Session:
    session = await sessions.start(policy=FOR_LONG)
    await session.runs()
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    await session.ends(ExitKind.CRASHED, 2)
    await session.says("2 crashes in a row")
    return session


async def paused(sessions: Sessions) -> Session:
    session = await running(sessions)
    await session.pause()
    await session.shows(SessionState.PAUSED)
    return session


async def parked(sessions: Sessions) -> Session:
    session = await sessions.start(policy=Policy(crashes_before_park=1))
    await session.runs()
    await session.ends(ExitKind.CRASHED)
    await session.shows(SessionState.PARKED)
    return session


STATES = [queued, starting, running, backing_off, paused, parked]
in_every_state = pytest.mark.parametrize("reach", STATES, ids=[state.__name__ for state in STATES])
Reach = Callable[[Sessions], Awaitable[Session]]


@in_every_state
async def test_pause(sessions: Sessions, reach: Reach) -> None:
    session = await reach(sessions)
    await session.pause()
    _let_go_on(sessions.world)
    await session.shows(SessionState.PARKED if reach is parked else SessionState.PAUSED)
    _nothing_is_left(sessions.world)
    sessions.world.slots = 1
    await session.resume()
    await until(lambda: sessions.world.live(session.id))
    await session.shows(SessionState.RUNNING)
    await session.terminate()
    assert await session.result() == "ended on request"


@in_every_state
async def test_resume(sessions: Sessions, reach: Reach) -> None:
    """Where nothing is put away it changes nothing, and is not remembered as a wish for later."""
    world = sessions.world
    session = await reach(sessions)
    launched = len(world.launches)
    await session.resume()
    _let_go_on(world)
    if reach is queued:
        world.slots = 1
        await session.handle.signal(SessionWorkflow.grant, GrantSignal())
    if reach is backing_off:
        await session.says("**recovering**")
        assert len(world.launches) == launched
        await session.terminate()
        assert await session.result() == "ended on request"
    else:
        await until(lambda: world.live(session.id))
        await session.shows(SessionState.RUNNING)
        assert len(world.launches) == launched + (reach in (queued, paused, parked))
        await session.ends(ExitKind.COMPLETED, len(world.launches))
        assert await session.result() == "it completed"
    _nothing_is_left(world)


@in_every_state
async def test_terminate(sessions: Sessions, reach: Reach) -> None:
    session = await reach(sessions)
    await session.terminate()
    _let_go_on(sessions.world)
    assert await session.result() == "ended on request"
    _nothing_is_left(sessions.world)


@in_every_state
async def test_cancel(sessions: Sessions, reach: Reach) -> None:
    """A cancellation from the Web UI ends the session in order."""
    session = await reach(sessions)
    await session.handle.cancel()
    _let_go_on(sessions.world)
    assert await session.result() == "ended on request"
    assert (await session.handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    _nothing_is_left(sessions.world)


@pytest.mark.parametrize("step", ["admit", "place", "launch", "record"])
async def test_cancel_during_a_step(sessions: Sessions, step: str) -> None:
    world = sessions.world
    gate = world.hold(step)
    session = await sessions.start()
    if step == "record":
        await session.runs()
        await session.ends(ExitKind.CRASHED)
    await until(lambda: f"{step} is held" in world.log)
    await session.handle.cancel()
    gate.set()
    assert await session.result() == "ended on request"
    _nothing_is_left(world)


@pytest.mark.parametrize("step", ["admit", "place"])
async def test_who_pauses_before_the_launch_starts_no_agent(sessions: Sessions, step: str) -> None:
    world = sessions.world
    gate = world.hold("record")
    session = await sessions.start()
    await session.runs()
    await session.pause()
    await until(lambda: "record is held" in world.log)
    gate.set()
    await session.shows(SessionState.PAUSED)
    # Resumed and paused again before a worker looks: no slot stays behind.
    gate = world.hold(step)
    await session.resume()
    await until(lambda: f"{step} is held" in world.log)
    await session.pause()
    gate.set()
    await until(lambda: len(world.states) == 2)
    await session.says("**paused**")
    assert world.states == [SessionState.PAUSED, SessionState.PAUSED]
    _nothing_is_left(world)
    await session.terminate()
    await session.result()


async def test_paused_keeps_its_last_runner_apart_from_failed_ones(sessions: Sessions) -> None:
    session = await paused(sessions)
    (record,) = sessions.world.records
    assert (record.status, record.release) == (RunnerStatus.PAUSED, True)
    await session.terminate()
    await session.result()


async def test_force_after_a_gentle_end_that_takes_too_long(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await running(sessions)
    await session.terminate()
    await until(lambda: "stop" in world.log)
    await session.terminate(force=True)
    assert await session.result() == "ended on request"
    assert world.log[-3:] == ["stop", "stop by force", "record ended"]


async def test_a_gentle_end_after_force_changes_nothing(sessions: Sessions) -> None:
    world = sessions.world
    session = await running(sessions)
    world.hold("record")
    await session.terminate(force=True)
    await until(lambda: "record is held" in world.log)
    await session.terminate()
    _let_go_on(world)
    assert await session.result() == "ended on request"
    assert "stop" not in world.log


async def test_a_repeated_signal_has_no_second_effect(sessions: Sessions) -> None:
    world = sessions.world
    session = await running(sessions)
    await session.pause("first")
    await session.shows(SessionState.PAUSED)
    await session.resume("second")
    await session.runs(2)
    await session.pause("first")
    await session.resume("second")
    await session.send("still here")
    await until(lambda: world.typed)
    assert session.runner(2) in world.running
    assert world.states == [SessionState.PAUSED]
    await session.terminate()
    await session.result()


def _let_go_on(world: World) -> None:
    for gate in world.gates.values():
        gate.set()
    world.gates.clear()


def _nothing_is_left(world: World) -> None:
    assert (world.running, world.holders, world.line, world.doubled) == (set(), set(), [], [])
