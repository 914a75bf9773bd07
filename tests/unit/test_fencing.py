"""The lease as a host's own processes know it: never longer than Postgres gave it, and over for good once over."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore import fencing
from stratavore.fencing import HeldLease, renewed
from stratavore.paths import Home
from stratavore.procfs import boot_id, uptime
from stratavore.runtime.guard import PAUSE_SECONDS
from worker.failover import MARGIN_SECONDS

BEFORE = HeldLease("boot", 7, 130, 30)


def after(**said: object) -> HeldLease:
    words = {"boot": "boot", "sent": 105.0, "now": 105.2, "seconds": 30.0, "lapsed": False, **said}
    return renewed(BEFORE, **words)  # type: ignore[arg-type]


def test_a_lease_that_is_renewed_in_time_goes_on() -> None:
    assert after() == HeldLease("boot", 7, 135, 30)


@pytest.mark.parametrize(
    "said",
    [
        {"now": 130.0},  # the answer came when it was over
        {"sent": 131.0, "now": 131.1},
        {"lapsed": True},  # Postgres says so: this machine stood still
        {"boot": "another"},
    ],
)
def test_one_that_ran_out_is_another_from_then_on(said: dict[str, object]) -> None:
    assert after(**said).term > BEFORE.term
    assert not after(**said).covers(BEFORE, 100.0)


def test_it_begins_anew_with_a_number_that_was_never_there(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = fencing.hold(home, sent=uptime(), seconds=30, lapsed=True)
    home.lease_file.unlink()
    second = fencing.hold(home, sent=uptime() + 1, seconds=30, lapsed=False)
    assert second.term > first.term
    third = fencing.hold(home, sent=uptime(), seconds=30, lapsed=True)
    assert third.term > second.term


def test_an_end_of_which_the_answer_was_lost_is_heard_of_with_the_next_one_and_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = fencing.hold(home, sent=uptime(), seconds=600, lapsed=True)
    assert fencing.hold(home, sent=uptime(), seconds=600, lapsed=False).term == first.term
    for ended in (datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)):
        # Postgres answered that it had run out, and nobody heard it. The host counts as away until it has its runners.
        after_it = fencing.hold(home, sent=uptime(), seconds=600, lapsed=False, away_since=ended)
        assert after_it.term > first.term
        again = fencing.hold(home, sent=uptime(), seconds=600, lapsed=False, away_since=ended)
        back = fencing.hold(home, sent=uptime(), seconds=600, lapsed=False)
        assert again.term == back.term == after_it.term
        first = back


@pytest.mark.parametrize("text", ["", "boot 7 130", "boot x 130 30", "boot 7 130 30 4", "boot 7 1e3 30"])
def test_what_is_no_lease_holds_nothing(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path)
    home.lease_file.write_text(text)
    assert fencing.held(home) is None


def test_it_is_held_until_its_deadline_in_this_run_of_the_machine(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert fencing.held(home) is None
    lease = fencing.hold(home, sent=uptime(), seconds=600, lapsed=False)
    assert fencing.held(home) == lease
    for other in (
        HeldLease(boot_id(), lease.term, int(uptime()), 30),
        HeldLease("another", lease.term, lease.deadline, 30),
    ):
        home.lease_file.write_text(other.line())
        assert fencing.held(home) is None


def test_a_shorter_lease_ends_the_longer_one_before_it_is_asked_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    long = fencing.hold(home, sent=100, seconds=600, lapsed=True)
    fencing.shorten(home, sent=110, seconds=5)
    assert fencing.read(home.lease_file) == HeldLease(long.boot_id, long.term, 115, 600)
    fencing.shorten(home, sent=110, seconds=600)
    assert fencing.read(home.lease_file) == HeldLease(long.boot_id, long.term, 115, 600)


@given(
    renewals=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60), st.floats(0, 60)), min_size=1, max_size=8),
    seconds=st.floats(0.5, 600),
    seen=st.floats(0, 5),
)
def test_who_belongs_to_a_lease_has_ended_when_others_take_over(
    renewals: list[tuple[float, float, float]], seconds: float, seen: float
) -> None:
    """Each renewal: a pause, the way to Postgres, and the way back; then the host is never heard of again."""
    now, expires = 1000.0, 0.0
    lease: HeldLease | None = None
    for pause, there, back in renewals:
        sent = now + pause
        lapsed = sent + there >= expires
        expires = sent + there + seconds
        now = sent + there + back
        lease = renewed(lease, boot="boot", sent=sent, now=now, seconds=seconds, lapsed=lapsed)
        assert lease.deadline <= expires
    assert lease is not None
    # A guard looks when the lease ends, and at least every few seconds; by the second, and nobody kills in no time.
    dead = max(lease.deadline, 1000) + PAUSE_SECONDS + 1
    taken = max(expires, 1000) + seen + MARGIN_SECONDS
    assert dead + 5 < taken
