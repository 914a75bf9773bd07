"""What replies cost, by the price lists of ``genai-prices``, which are part of it: nothing is asked of the network.

Its import (0.3 s) is left to who prices first, and what was found of a model is kept, since finding takes 0.3 ms. Both
are too long for an event loop: call it in a thread.
"""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from stratavore.agents.conversation import Tokens

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

Terms = tuple[tuple[str, str], ...]

_RESELLERS = (None, "aws", "google")
"""Who may call a model by a name of their own; None: its maker."""


class _Rates(NamedTuple):
    """US dollars a token."""

    input: Decimal
    output: Decimal
    cache_creation: Decimal
    cache_creation_1h: Decimal
    cache_read: Decimal


def cost(model: str | None, at: datetime, tokens: Tokens, terms: Terms = ()) -> Decimal | None:
    """What a reply cost on its day, in US dollars; None: the model's price is not known.

    Args:
        model: As the provider calls it.
        at: When it was made. Prices that differ by the hour are those of noon.
        tokens: What it used. Above a threshold of some models all of them have another price.
        terms: What makes another price, in the library's words.
    """
    if not model:
        return None
    day = at.astimezone(UTC).date()
    thresholds = _thresholds(model, day)
    if thresholds is None:
        return None
    size = tokens.input + tokens.cache_creation + tokens.cache_read
    rates = _rates(model, day, terms, max((start for start in thresholds if size > start), default=0) + 1)
    return (
        rates.input * tokens.input
        + rates.output * tokens.output
        + rates.cache_creation * (tokens.cache_creation - tokens.cache_creation_1h)
        + rates.cache_creation_1h * tokens.cache_creation_1h
        + rates.cache_read * tokens.cache_read
    )


@lru_cache(maxsize=1024)
def _thresholds(model: str, day: date) -> tuple[int, ...] | None:
    """Sizes of a request above which its price is another; None: the model is not known."""
    from genai_prices.types import TieredPrices

    try:
        prices = vars(_calculate(model, day, (), input_tokens=1).model_price).values()
    except LookupError:
        return None
    return tuple({tier.start for price in prices if isinstance(price, TieredPrices) for tier in price.tiers})


@lru_cache(maxsize=1024)
def _rates(model: str, day: date, terms: Terms, size: int) -> _Rates:
    """The prices of a request of ``size`` tokens, by what samples cost: between two thresholds they are linear."""

    def a_token(**kinds: int) -> Decimal:
        return _calculate(model, day, terms, input_tokens=size, **kinds).total_price / size

    return _Rates(
        input=a_token(),
        output=a_token(output_tokens=size) - a_token(),
        cache_creation=a_token(cache_write_tokens=size),
        cache_creation_1h=a_token(cache_write_tokens=size, cache_write_1h_tokens=size),
        cache_read=a_token(cache_read_tokens=size),
    )


def _calculate(model: str, day: date, terms: Terms, **tokens: int) -> "PriceCalculation":
    """What the library says.

    Raises:
        LookupError: it does not know the model.
    """
    from genai_prices import Usage, calc_price

    noon = datetime.combine(day, time(12), UTC)
    for provider in _RESELLERS:
        try:
            return calc_price(
                Usage(**tokens), model, provider_id=provider, genai_request_timestamp=noon, price_context=dict(terms)
            )
        except LookupError:
            continue
    raise LookupError(model)
