from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stratavore.models.session import Policy, Wish
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from stratavore.models.steps import RunnerExit
from workflows.decisions import End, PutAway, Relaunch, decide, state_after, status_after

POLICY = Policy()


def ended(kind: ExitKind, lived: timedelta = timedelta(seconds=1)) -> RunnerExit:
    return RunnerExit(runner_id="s.1", kind=kind, at=datetime(2026, 1, 1, tzinfo=UTC), lived=lived, reason="it said so")


def test_an_agent_that_ends_by_itself_ends_its_session() -> None:
    decision = decide(ended(ExitKind.COMPLETED), wish=Wish.RUN, stopped=False, launches=1, crashes=0, policy=POLICY)
    assert decision == End("it said so", RunnerStatus.TERMINATED)
    assert state_after(decision) is SessionState.ENDED


def test_the_first_crash_is_relaunched_at_once_and_the_next_ones_later_and_later() -> None:
    waits = []
    crashes = 0
    for launches in range(1, POLICY.crashes_before_park):
        decision = decide(
            ended(ExitKind.CRASHED),
            wish=Wish.RUN,
            stopped=False,
            launches=launches,
            crashes=crashes,
            policy=POLICY,
        )
        assert isinstance(decision, Relaunch)
        crashes = decision.crashes
        waits.append(decision.after.total_seconds())
    assert waits == [0, 1, 2, 4]
    last = decide(ended(ExitKind.CRASHED), wish=Wish.RUN, stopped=False, launches=5, crashes=crashes, policy=POLICY)
    assert last == PutAway(parked=True, reason="it said so; it crashed 5 times in a row")
    assert state_after(last) is SessionState.PARKED
    assert status_after(last) is RunnerStatus.FAILED


def test_a_runner_that_lived_long_begins_a_new_count() -> None:
    decision = decide(
        ended(ExitKind.CRASHED, POLICY.stable_after),
        wish=Wish.RUN,
        stopped=False,
        launches=9,
        crashes=4,
        policy=POLICY,
    )
    assert decision == Relaunch(timedelta(0), 1, "it said so")


def test_what_cannot_start_the_first_time_ends_and_later_is_parked() -> None:
    first = decide(ended(ExitKind.REFUSED), wish=Wish.RUN, stopped=False, launches=1, crashes=0, policy=POLICY)
    later = decide(ended(ExitKind.REFUSED), wish=Wish.RUN, stopped=False, launches=2, crashes=0, policy=POLICY)
    assert first == End("it said so", RunnerStatus.FAILED)
    assert later == PutAway(parked=True, reason="it said so")


def test_resumed_before_the_paused_process_had_ended() -> None:
    decision = decide(ended(ExitKind.CRASHED), wish=Wish.RUN, stopped=True, launches=1, crashes=3, policy=POLICY)
    assert decision == Relaunch(timedelta(0), 0, "resumed")


@given(
    kind=st.sampled_from(ExitKind),
    wish=st.sampled_from(Wish),
    stopped=st.booleans(),
    launches=st.integers(1, 10**6),
    crashes=st.integers(0, 10**6),
    lived=st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_what_people_wish_comes_first_and_nothing_spins(
    kind: ExitKind, wish: Wish, stopped: bool, launches: int, crashes: int, lived: timedelta
) -> None:
    decision = decide(ended(kind, lived), wish=wish, stopped=stopped, launches=launches, crashes=crashes, policy=POLICY)
    if wish is Wish.TERMINATE:
        assert state_after(decision) is SessionState.ENDED
    elif wish is Wish.PAUSE:
        assert state_after(decision) is SessionState.PAUSED
    elif kind is ExitKind.LOST and not stopped:
        assert isinstance(decision, Relaunch)  # what the machine took, the session gets back
    if isinstance(decision, Relaunch):
        assert timedelta(0) <= decision.after <= POLICY.longest_backoff
        if decision.crashes > 1:
            assert decision.after >= POLICY.first_backoff
