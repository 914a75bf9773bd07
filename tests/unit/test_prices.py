"""Costs are those of the price library, to the last digit, whatever was kept of earlier ones."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from stratavore.agents.conversation import Tokens
from stratavore.prices import Terms, cost

AT = datetime(2026, 6, 1, 7, 30, tzinfo=UTC)
NOON = AT.replace(hour=12, minute=0)
MODELS = ("claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-3-haiku-20240307", "claude-opus-4-8")
counts = st.integers(0, 400_000)


@given(st.sampled_from(MODELS), counts, counts, counts, counts, counts, st.sampled_from([(), (("speed", "fast"),)]))
def test_a_reply_costs_what_the_library_says(
    model: str, new: int, output: int, short: int, long: int, read: int, terms: Terms
) -> None:
    usage = Usage(
        input_tokens=new + short + long + read,
        output_tokens=output,
        cache_write_tokens=short + long,
        cache_write_1h_tokens=long,
        cache_read_tokens=read,
    )
    said = calc_price(usage, model, genai_request_timestamp=NOON, price_context=dict(terms)).total_price
    assert cost(model, AT, Tokens(new, output, short + long, read, long), terms) == said


def test_an_hour_in_the_cache_is_dearer_than_five_minutes() -> None:
    assert cost("claude-opus-4-5", AT, Tokens(cache_creation=1000)) == Decimal("0.00625")
    assert cost("claude-opus-4-5", AT, Tokens(cache_creation=1000, cache_creation_1h=1000)) == Decimal("0.01")


def test_prices_are_those_of_their_day() -> None:
    large = Tokens(input=300_000)
    before, after = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 6))
    assert cost("claude-opus-4-6", before, large) != cost("claude-opus-4-6", after, large)


@pytest.mark.parametrize("model", ["nobody-knows-this", None, ""])
def test_a_model_that_is_not_known_has_no_cost(model: str | None) -> None:
    assert cost(model, AT, Tokens(input=1000)) is None


def test_names_of_resellers_are_known() -> None:
    assert cost("us.anthropic.claude-sonnet-4-20250514-v1:0", AT, Tokens(input=1)) is not None
