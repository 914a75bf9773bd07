from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import text


@given(ids=st.sets(st.uuids().map(str), max_size=5).map(list), twins=st.integers(8, 35))
def test_short_ids_are_unique_beginnings(ids: list[str], twins: int) -> None:
    ids += [one[:twins] + "z" * (36 - twins) for one in ids[:2]]
    found = text.short_ids(ids)
    assert set(found) == set(ids)
    for one, short in found.items():
        assert len(short) >= 8
        assert [other for other in ids if other.startswith(short)] == [one]


def test_only_those_that_look_the_same_are_longer() -> None:
    found = text.short_ids(["aaaaaaaa-1", "aaaaaaaa-2", "bbbbbbbb-1"])
    assert sorted(found.values()) == ["aaaaaaaa-1", "aaaaaaaa-2", "bbbbbbbb"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (90000, "1d"), (8640000, "100d")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_ages() -> None:
    assert text.age(None) == ""
    assert text.age((datetime.now(UTC) - timedelta(minutes=3, seconds=5)).isoformat()) == "3m"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (12345, "12.3k"),
        (99949, "99.9k"),
        (99950, "100k"),
        (999949, "1000k"),
        (999950, "1.0M"),
        (4000000, "4.0M"),
        (2 * 10**15, "2000T"),
    ],
)
def test_amounts(number: int, shown: str) -> None:
    assert text.amount(number) == shown


def test_a_time_of_today_has_no_date() -> None:
    now = datetime.now(UTC)
    assert text.clock(now.isoformat()) == f"{now.astimezone():%H:%M:%S}"
    assert text.clock("2020-01-01T12:00:00Z").startswith("2020-01-0")


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    assert text.one_line("a\x1b[2Jb\nc\td") == "a?[2Jb c d"
    assert text.one_line(None) == ""


@pytest.mark.parametrize(
    ("cost", "unpriced", "shown"),
    [(None, 0, ""), (None, 5, "?"), (0, 0, "$0.00"), (0.004, 0, "<$0.01"), (1.2, 0, "$1.20"), (1.2, 5, "≥ $1.20")],
)
def test_costs(cost: float | None, unpriced: int, shown: str) -> None:
    assert text.dollars(cost, unpriced) == shown
