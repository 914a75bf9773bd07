from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stratavore.models.session import Policy, Wish
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from stratavore.models.steps import RunnerExit
from workflows.decisions import Decision, End, PutAway, Relaunch, decide, state_after, status_after

POLICY = Policy()


def ended(
    kind: ExitKind,
    lived: timedelta = timedelta(seconds=1),
    code: int | None = None,
    runner_id: str = "s.1",
    last_lines: str = "",
) -> RunnerExit:
    return RunnerExit(
        runner_id=runner_id,
        kind=kind,
        code=code,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        lived=lived,
        reason="it said so",
        last_lines=last_lines,
    )


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
    assert waits[0] == 0
    assert [2 / 3 * longest <= wait <= longest for wait, longest in zip(waits[1:], (1, 2, 4), strict=True)] == [
        True
    ] * 3
    last = decide(
        ended(ExitKind.CRASHED, last_lines="loading\nKeyError: 'x'"),
        wish=Wish.RUN,
        stopped=False,
        launches=5,
        crashes=crashes,
        policy=POLICY,
    )
    assert last == PutAway(
        parked=True,
        reason="it said so, the last of 5 deaths in a row; try again with: stratavore resume s; "
        "its last words: KeyError: 'x'",
    )
    assert state_after(last) is SessionState.PARKED
    assert status_after(last) is RunnerStatus.FAILED


def test_those_who_died_together_do_not_come_back_together() -> None:
    waits = {
        decision.after
        for number in range(100)
        if isinstance(
            decision := decide(
                ended(ExitKind.CRASHED, runner_id=f"{number}.3"),
                wish=Wish.RUN,
                stopped=False,
                launches=3,
                crashes=3,
                policy=POLICY,
            ),
            Relaunch,
        )
    }
    assert len(waits) > 90


def test_without_a_terminal_an_exit_code_is_a_result_and_a_signal_is_not() -> None:
    def decided(kind: ExitKind, code: int | None, crashes: int = 0) -> Decision:
        return decide(
            ended(kind, code=code),
            wish=Wish.RUN,
            stopped=False,
            launches=crashes + 1,
            crashes=crashes,
            policy=POLICY,
            headless=True,
        )

    assert decided(ExitKind.COMPLETED, 0) == End("it said so", RunnerStatus.TERMINATED)
    assert decided(ExitKind.CRASHED, 1) == End("it said so", RunnerStatus.FAILED)
    assert decided(ExitKind.CRASHED, 128) == End("it said so", RunnerStatus.FAILED)
    assert decided(ExitKind.CRASHED, 137) == Relaunch(timedelta(0), 1, "it said so")
    assert decided(ExitKind.LOST, None) == Relaunch(timedelta(0), 1, "it said so")
    again = decided(ExitKind.CRASHED, 137, crashes=4)
    assert isinstance(again, Relaunch) and again.after


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
    assert decision == Relaunch(timedelta(0), 0, "started anew on request", RunnerStatus.TERMINATED)


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
        if decision.crashes > 1 and (kind is ExitKind.CRASHED or lived < POLICY.settled_after):
            assert decision.after >= POLICY.first_backoff * 0.66


@given(
    kind=st.sampled_from(ExitKind),
    wish=st.sampled_from(Wish),
    stopped=st.booleans(),
    launches=st.integers(1, 10),
    crashes=st.integers(0, 10),
)
def test_states_and_statuses_agree(kind: ExitKind, wish: Wish, stopped: bool, launches: int, crashes: int) -> None:
    decision = decide(ended(kind), wish=wish, stopped=stopped, launches=launches, crashes=crashes, policy=POLICY)
    state, status = state_after(decision), status_after(decision)
    # A paused session's last runner is paused, and no other session's is.
    assert (status is RunnerStatus.PAUSED) == (state is SessionState.PAUSED)
    if state in (SessionState.PARKED, SessionState.RECOVERING):
        assert status is (RunnerStatus.TERMINATED if stopped and wish is Wish.RUN else RunnerStatus.FAILED)
    if state is SessionState.PARKED:
        assert decision.reason  # a person who did not ask for it is told why
    if state is SessionState.PAUSED:
        assert wish is Wish.PAUSE


def test_what_something_else_ended_is_relaunched_at_once_if_it_had_lived_a_while_and_never_parked() -> None:
    for kind, code in ((ExitKind.LOST, None), (ExitKind.CRASHED, 137)):
        later = ended(kind, POLICY.settled_after, code)
        decision = decide(later, wish=Wish.RUN, stopped=False, launches=9, crashes=4, policy=POLICY)
        assert decision == Relaunch(timedelta(0), 4, "it said so")
        # Want of memory kills again and again, and soon: it is waited out, and never parks either.
        soon = decide(ended(kind, code=code), wish=Wish.RUN, stopped=False, launches=99, crashes=98, policy=POLICY)
        assert isinstance(soon, Relaunch)
        assert 2 / 3 * POLICY.longest_backoff <= soon.after <= POLICY.longest_backoff


def test_deaths_by_sigkill_parked_before_the_patch() -> None:
    decision = decide(
        ended(ExitKind.CRASHED, code=137),
        wish=Wish.RUN,
        stopped=False,
        launches=9,
        crashes=4,
        policy=POLICY,
        kills_park=lambda: True,
    )
    assert isinstance(decision, PutAway)


@given(crashes=st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_session_is_parked_by_crashes_in_a_row_only(crashes: list[bool]) -> None:
    """True: it crashed at once; False: after it had been stable."""
    count = 0
    for launches, at_once in enumerate(crashes, start=1):
        lived = timedelta(0) if at_once else POLICY.stable_after
        decision = decide(
            ended(ExitKind.CRASHED, lived),
            wish=Wish.RUN,
            stopped=False,
            launches=launches,
            crashes=count,
            policy=POLICY,
        )
        if isinstance(decision, PutAway):
            assert count == POLICY.crashes_before_park - 1
            assert all(crashes[launches - count : launches])
            return
        assert isinstance(decision, Relaunch)
        count = decision.crashes
    assert count < POLICY.crashes_before_park


@given(crashes=st.integers(0, 10**9))
def test_the_wait_never_shrinks(crashes: int) -> None:
    waits = []
    for before in (crashes, crashes + 1):
        # What the machine took is never parked, however often.
        decision = decide(ended(ExitKind.LOST), wish=Wish.RUN, stopped=False, launches=1, crashes=before, policy=POLICY)
        assert isinstance(decision, Relaunch)
        waits.append(decision.after)
    assert waits[0] <= waits[1] <= POLICY.longest_backoff


class CrashLoops(RuleBasedStateMachine):
    """A session over many runners, as its workflow keeps count of it."""

    def __init__(self) -> None:
        super().__init__()
        self.launches = 1
        self.crashes = 0
        self.deaths: list[timedelta] = []
        """How long runners lived, from the last one that lived long or that a person began anew."""
        self.parked = False

    def died(self, kind: ExitKind, lived: timedelta, code: int | None) -> Decision:
        decision = decide(
            ended(kind, lived, code, runner_id=f"s.{self.launches}", last_lines="bye"),
            wish=Wish.RUN,
            stopped=False,
            launches=self.launches,
            crashes=self.crashes,
            policy=POLICY,
        )
        self.deaths = [*([] if lived >= POLICY.stable_after else self.deaths), lived]
        self.launches += 1
        if isinstance(decision, Relaunch):
            self.crashes = decision.crashes
        else:
            self.parked = True
            assert isinstance(decision, PutAway)
            assert decision.parked
            assert "stratavore resume s" in (decision.reason or "")
            assert "bye" in (decision.reason or "")
        return decision

    @precondition(lambda self: not self.parked)
    @rule(lived=st.timedeltas(timedelta(0), timedelta(hours=1)), code=st.sampled_from([1, 134, 137, 139, 143]))
    def crash(self, lived: timedelta, code: int) -> None:
        """By an error of its own, or by a signal."""
        decision = self.died(ExitKind.CRASHED, lived, code)
        if isinstance(decision, PutAway):
            assert len(self.deaths) >= POLICY.crashes_before_park
        elif isinstance(decision, Relaunch) and code != 137 and decision.after == timedelta(0):
            assert decision.crashes == 1

    @precondition(lambda self: not self.parked)
    @rule(lived=st.timedeltas(timedelta(0), timedelta(hours=1)))
    def lose(self, lived: timedelta) -> None:
        """With its terminal, or with its machine."""
        decision = self.died(ExitKind.LOST, lived, None)
        assert isinstance(decision, Relaunch)
        if lived >= POLICY.settled_after:
            assert decision.after == timedelta(0)

    @precondition(lambda self: not self.parked)
    @rule()
    def crash_at_once_for_ever(self) -> None:
        """It is parked after a few tries, each after a longer wait than the one before."""
        waits = []
        while not self.parked:
            decision = self.died(ExitKind.CRASHED, timedelta(0), 1)
            if isinstance(decision, Relaunch):
                waits.append(decision.after)
        assert len(waits) < POLICY.crashes_before_park
        assert waits == sorted(set(waits))

    @precondition(lambda self: self.parked)
    @rule()
    def resume(self) -> None:
        """A person tries again; the workflow forgets the count."""
        self.parked, self.crashes, self.deaths = False, 0, []

    @invariant()
    def counted(self) -> None:
        """No more is held against it than what happened since its last success."""
        assert self.crashes <= len(self.deaths)


TestCrashLoops = CrashLoops.TestCase
