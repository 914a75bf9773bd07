"""Whatever people and machines do, in any order: one live runner a session, no slot lost, the last command counts.

Commands are sent without waiting for the one before, and some leave open what follows: a resume that comes after a
terminate finds the session on its way to the end, or ended. So the model keeps all that can be.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum, auto

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from stratavore.models.session import GrantSignal, Policy
from stratavore.models.states import ExitKind, SessionState
from tests.support.sessions import Session, Sessions
from tests.support.waiting import until
from tests.support.world import World
from workflows.session import SessionWorkflow

REPLAYER = Replayer(workflows=[SessionWorkflow], data_converter=pydantic_data_converter)
MILLISECOND = timedelta(milliseconds=1)


class Fate(Enum):
    """What a session is on its way to be."""

    RUNS = auto()
    PAUSED = auto()
    ENDED = auto()
    BEGINS_AGAIN = auto()
    """It ends, and then runs: with the next command it does either."""


class Do(Enum):
    """What happens to a session."""

    PAUSE = auto()
    RESUME = auto()
    RESTART = auto()
    TERMINATE = auto()
    FORCE = auto()
    CANCEL = auto()
    CRASH = auto()
    LOSE = auto()
    GRANT = auto()
    SEND = auto()
    SETTLE = auto()


def fates(before: Fate, done: Do) -> set[Fate]:
    """What a session can be on its way to, after this was done to it."""
    match done:
        case Do.TERMINATE | Do.FORCE | Do.CANCEL:
            return {Fate.ENDED}
        case Do.PAUSE:
            return {
                Fate.RUNS: {Fate.PAUSED},
                Fate.PAUSED: {Fate.PAUSED},
                Fate.ENDED: {Fate.ENDED},
                Fate.BEGINS_AGAIN: {Fate.ENDED, Fate.PAUSED},
            }[before]
        case Do.RESUME:
            return {
                Fate.RUNS: {Fate.RUNS},
                Fate.PAUSED: {Fate.RUNS},
                Fate.ENDED: {Fate.ENDED, Fate.BEGINS_AGAIN},
                Fate.BEGINS_AGAIN: {Fate.BEGINS_AGAIN},
            }[before]
        case _:
            return {before}


class Followed:
    """A session, and what it can be by now."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fates = {Fate.RUNS}

    async def do(self, done: Do, world: World) -> None:
        """Do it, and follow what it leads to."""
        try:
            await self._send(done, world)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            assert Fate.ENDED in self.fates
            self.fates = {Fate.ENDED}
        else:
            self.fates = {after for before in self.fates for after in fates(before, done)}

    async def _send(self, done: Do, world: World) -> None:
        session = self.session
        match done:
            case Do.PAUSE:
                await session.pause()
            case Do.RESUME:
                await session.resume()
            case Do.RESTART:
                await session.restart(world.generations.get(session.id, 0))
            case Do.TERMINATE:
                await session.terminate()
            case Do.FORCE:
                await session.terminate(force=True)
            case Do.CANCEL:
                await session.handle.cancel()
            case Do.GRANT:
                await session.handle.signal(SessionWorkflow.grant, GrantSignal())
            case Do.SEND:
                await session.send("text")
            case Do.CRASH | Do.LOSE:
                for runner_id in world.live(session.id):
                    await world.end(runner_id, ExitKind.CRASHED if done is Do.CRASH else ExitKind.LOST)
            case Do.SETTLE:
                await until(lambda: self.fate(world), what=f"one of {self.fates} in {world.log}")

    def fate(self, world: World) -> Fate | None:
        """What it is now, if that can be; else it is on its way."""
        session = self.session.id
        live, holds, waits = world.live(session), session in world.holders, session in world.line
        recorded = [one.state for one in world.records if one.session_id == session]
        if self.fates & {Fate.RUNS, Fate.BEGINS_AGAIN} and (
            (len(live) == 1 and holds) or (not live and waits and len(world.holders) == world.slots)
        ):
            return Fate.RUNS
        if live or holds or waits or not recorded:
            return None
        if Fate.PAUSED in self.fates and recorded[-1] is SessionState.PAUSED:
            return Fate.PAUSED
        if self.fates & {Fate.ENDED, Fate.BEGINS_AGAIN} and recorded[-1] is SessionState.ENDED:
            return Fate.ENDED
        return None


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    happenings=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(Do)), max_size=14),
    actions=st.sampled_from([4, 12, 1000]),
)
async def test_any_order(sessions: Sessions, happenings: Sequence[tuple[int, Do]], actions: int) -> None:
    world = sessions.world
    world.slots = 1
    policy = Policy(
        first_backoff=MILLISECOND,
        longest_backoff=10 * MILLISECOND,
        crashes_before_park=1000,
        actions_a_run=actions,
    )
    both = [Followed(await sessions.start(policy=policy)) for _ in range(2)]
    try:
        for number, done in happenings:
            await both[number].do(done, world)
        for one in both:
            await one.do(Do.SETTLE, world)
    finally:
        for one in both:
            await one.do(Do.FORCE, world)
            await one.session.result()
            await REPLAYER.replay_workflow(await one.session.handle.fetch_history())
    assert (world.doubled, world.running, world.holders, world.line) == ([], set(), set(), [])
