"""Budgets as they are typed and told."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.budgets import (
    MOST,
    Action,
    Budget,
    Period,
    Unit,
    checked,
    parse_amount,
    parse_grace,
    parse_share,
    told,
    why_held,
)
from stratavore.errors import InvalidInput

BUDGET = Budget(Unit.TOKENS, Period.DAILY, Decimal(100))


@pytest.mark.parametrize(
    ("unit", "typed", "amount"),
    [
        (Unit.TOKENS, "250000", "250000"),
        (Unit.TOKENS, "250_000", "250000"),
        (Unit.TOKENS, "250,000", "250000"),
        (Unit.TOKENS, "250k", "250000"),
        (Unit.TOKENS, "2.5M", "2500000"),
        (Unit.TOKENS, "1g", "1000000000"),
        (Unit.USD, "5", "5"),
        (Unit.USD, "$2.50", "2.50"),
        (Unit.USD, "0.000001", "0.000001"),
    ],
)
def test_amounts(unit: Unit, typed: str, amount: str) -> None:
    assert parse_amount(unit, typed) == Decimal(amount)


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-5",
        "0",
        "k",
        "five",
        "1e400",
        "1e99999999",
        "nan",
        "inf",
        "-inf",
        "10^6",
        "5 tokens",
        "٣",
        "1e16",
        "0.0000001",
    ],
)
def test_what_is_no_amount_is_refused_in_a_sentence(unit: Unit, typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_amount(unit, typed)
    assert len(str(refused.value)) < 160
    assert str(refused.value).endswith(".")


def test_what_is_finer_than_its_unit_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"A budget is a whole number of tokens, not 1\.5"):
        parse_amount(Unit.TOKENS, "1.5")


@given(st.text(max_size=12), st.sampled_from(Unit))
def test_anything_typed_is_an_amount_or_refused(typed: str, unit: Unit) -> None:
    with suppress(InvalidInput):
        assert 0 < parse_amount(unit, typed) <= MOST[unit]


def test_shares_and_times() -> None:
    assert parse_share("80%") == parse_share("80") == Decimal("0.8")
    assert parse_grace("90s") == timedelta(seconds=90)
    assert (parse_grace("0s"), parse_grace("24h")) == (timedelta(0), timedelta(days=1))


@pytest.mark.parametrize("typed", ["0", "101", "-1", "half", "nan", "1e9999"])
def test_what_is_no_share_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput, match="A budget warns at 1 to 100 percent"):
        parse_share(typed)


@pytest.mark.parametrize("typed", ["5", "-5m", "25h", "5 m", "1d", "999999h"])
def test_what_is_no_grace_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput, match="The grace of a budget is 0s to 24h"):
        parse_grace(typed)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"amount": Decimal(-1)}, "A budget is more than 0 and at most"),
        ({"amount": Decimal(10) ** 40}, "A budget is more than 0 and at most"),
        ({"warn_at": Decimal("1.5")}, "A budget warns at 1 to 100 percent of it, not at 150%"),
        ({"grace": timedelta(days=2)}, "The grace of a budget is 0 s to 24 h"),
        ({"timezone": "Europe/Berlinn"}, "There is no time zone 'Europe/Berlinn' (did you mean 'Europe/Berlin'"),
        ({"timezone": "CEST-2"}, "There is no time zone 'CEST-2'"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(wrong: dict[str, object], sentence: str) -> None:
    assert checked(BUDGET) == BUDGET
    with pytest.raises(InvalidInput) as refused:
        checked(replace(BUDGET, **wrong))  # type: ignore[arg-type]
    assert str(refused.value).startswith(sentence)


def test_what_is_said_of_a_budget() -> None:
    assert told(Decimal(1234567), "tokens") == "1,234,567 tokens"
    assert told(Decimal("2.5"), "usd") == "$2.50"
    assert told(Decimal("0.001"), "usd") == "$0.001"
    project = why_held("project", "usd", Period.WEEKLY, Decimal(20), Decimal(0), Decimal("20.015"))
    assert project == "its project's budget of $20.00 a week is used up ($20.015 were used)"
    assert why_held("global", "tokens", Period.HOURLY, Decimal(5), Decimal(0), Decimal(5)).endswith(
        "5 tokens an hour is used up"
    )
    approved = why_held("session", "tokens", Period.DAILY, Decimal(200), Decimal(207), Decimal(407))
    assert approved == "its budget of 200 tokens a day, and 207 tokens more, is used up"
    assert {action.value for action in Action} == {"warn", "pause", "ask", "terminate"}
