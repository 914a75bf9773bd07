"""What takes long: on a server that skips time."""

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from stratavore.models.session import Policy, Wish
from stratavore.models.states import ExitKind, SessionState
from tests.support.sessions import Session, Sessions
from tests.support.world import ending
from workflows import timeouts
from workflows.decisions import Relaunch, decide

HOUR = timedelta(hours=1)
MOMENT = timedelta(minutes=1)
"""Longer than a test takes between two sleeps: the server's time goes on meanwhile, as the real one does."""


async def test_a_crash_loop_waits_longer_and_longer_and_is_parked(
    patient_sessions: Sessions, clock: WorkflowEnvironment
) -> None:
    world = patient_sessions.world
    policy = Policy(first_backoff=HOUR, longest_backoff=3 * HOUR, crashes_before_park=6)
    session = await patient_sessions.start(policy=policy)
    await session.runs()
    await session.ends(ExitKind.CRASHED)
    for generation, longest in enumerate((1, 2, 3, 3), start=2):
        await session.runs(generation)
        await session.ends(ExitKind.CRASHED, generation)
        await session.says(f"{generation} crashes in a row")
        wait = _wait(session.runner(generation), generation, policy)
        assert longest * HOUR * 2 / 3 <= wait <= longest * HOUR
        await clock.sleep(wait - MOMENT)
        assert len(world.launches) == generation
        assert session.id in world.holders
        await clock.sleep(MOMENT)
    await session.runs(6)
    await session.ends(ExitKind.CRASHED, 6)
    await session.says("**parked**: it crashed, the last of 6 deaths in a row")
    assert not world.holders
    await clock.sleep(1000 * HOUR)
    assert len(world.launches) == 6
    await session.resume()
    await session.runs(7)
    await _end(session)


def _wait(runner_id: str, crashes: int, policy: Policy) -> timedelta:
    """How long it waits after this crash, by chance too."""
    end = ending(runner_id, ExitKind.CRASHED)
    decision = decide(end, wish=Wish.RUN, stopped=False, launches=crashes, crashes=crashes - 1, policy=policy)
    assert isinstance(decision, Relaunch)
    return decision.after


async def test_who_is_not_told_of_a_grant_looks_by_itself(
    patient_sessions: Sessions, clock: WorkflowEnvironment
) -> None:
    world = patient_sessions.world
    world.slots, world.mute = 0, True
    session = await patient_sessions.start()
    await session.says("place 1 in line")
    world.slots = 1
    await clock.sleep(timeouts.NEXT_LOOK_FOR_SLOT - MOMENT)
    assert not world.launches
    await clock.sleep(MOMENT)
    await session.runs()
    await _end(session)


async def test_no_host_is_up_for_long(patient_sessions: Sessions, clock: WorkflowEnvironment) -> None:
    world = patient_sessions.world
    world.hosts_up = False
    session = await patient_sessions.start(policy=Policy(actions_a_run=15))
    await session.says("**queued**: no host is up")
    first_run = await session.run_id()
    await clock.sleep(timedelta(minutes=30))
    await session.says("**queued**: no host is up")
    assert await session.run_id() != first_run
    assert session.id in world.holders
    world.hosts_up = True
    while not world.running:  # from then on the clock is the real one
        await clock.sleep(timedelta(seconds=1))
    await session.runs()
    await _end(session)


async def test_a_runner_that_is_not_the_current_one_does_not_fail_the_session(
    patient_sessions: Sessions, clock: WorkflowEnvironment
) -> None:
    patient_sessions.world.refusals.append("it is not the current one")
    session = await patient_sessions.start()
    await session.says("**queued**: it is not the current one")
    await clock.sleep(timeouts.NEXT_LOOK_FOR_HOST)
    await session.runs(2)
    await _end(session)


async def test_a_paused_session_waits_for_years(patient_sessions: Sessions, clock: WorkflowEnvironment) -> None:
    session = await patient_sessions.start()
    await session.runs()
    await session.pause()
    await session.shows(SessionState.PAUSED)
    await clock.sleep(timedelta(days=700))
    await session.resume()
    await session.runs(2)
    await _end(session)


async def _end(session: Session) -> None:
    await session.terminate()
    assert await session.result() == "ended on request"
