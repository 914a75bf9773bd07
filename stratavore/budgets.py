"""Budgets: which there are, how they are typed, and what is said of them. Imports the standard library only."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, DecimalException, InvalidOperation
from enum import StrEnum

from stratavore.errors import InvalidInput
from stratavore.near_names import did_you_mean

WARN_AT = Decimal("0.8")
"""Share of a budget at which it warns, unless it says another one."""
GRACE = timedelta(minutes=5)
"""That a turn under way has once its budget is used up, unless the budget says another time."""
LONGEST_GRACE = timedelta(days=1)
MOST = {"tokens": Decimal(10**15), "usd": Decimal(10**9)}
"""The largest amounts."""
_CENTS = Decimal("0.000001")
_GRACE = re.compile(r"(\d{1,6})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Unit(StrEnum):
    """What a budget counts."""

    TOKENS = "tokens"
    USD = "usd"


class Period(StrEnum):
    """How long one amount lasts."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def noun(self) -> str:
        """As in "10 tokens a day"."""
        return {"hourly": "an hour", "daily": "a day", "weekly": "a week", "monthly": "a month"}[self]


class Action(StrEnum):
    """What happens to sessions at the limit."""

    WARN = "warn"
    """An event tells it; they go on."""
    PAUSE = "pause"
    """They are put away at the end of their turn, or after the grace, and go on by themselves in the next period."""
    ASK = "ask"
    """The same, and they go on as soon as somebody approves more."""
    TERMINATE = "terminate"
    """They end at once."""


@dataclass(frozen=True)
class Budget:
    """What a budget is to be.

    Attributes:
        unit: What it counts.
        period: How long one amount lasts.
        amount: In its unit.
        timezone: Whose clock its periods follow.
        warn_at: Share of the amount, above 0, at most 1.
        action: What happens at the limit.
        grace: That a turn under way has.
    """

    unit: Unit
    period: Period
    amount: Decimal
    timezone: str = "UTC"
    warn_at: Decimal = WARN_AT
    action: Action = Action.PAUSE
    grace: timedelta = GRACE


def checked(budget: Budget) -> Budget:
    """The budget, if it can be one.

    Raises:
        InvalidInput: a value is out of range, or the time zone is not known.
    """
    check_amount(budget.unit, budget.amount)
    if not 0 < budget.warn_at <= 1:
        raise InvalidInput(reason=f"A budget warns at 1 to 100 percent of it, not at {_percent(budget.warn_at)}")
    if not timedelta(0) <= budget.grace <= LONGEST_GRACE:
        raise InvalidInput(reason="The grace of a budget is 0 s to 24 h")
    check_timezone(budget.timezone)
    return budget


def check_amount(unit: Unit, amount: Decimal) -> None:
    """Accept an amount, or say what is wrong with it.

    Raises:
        InvalidInput: it is not above 0, too large, or finer than its unit.
    """
    if not 0 < amount <= MOST[unit]:
        raise InvalidInput(reason=f"A budget is more than 0 and at most {told(MOST[unit], unit)}, not {_plain(amount)}")
    if amount % (1 if unit is Unit.TOKENS else _CENTS):
        raise InvalidInput(
            reason=f"A budget is a whole number of {unit}, not {_plain(amount)}"
            if unit is Unit.TOKENS
            else f"A budget in usd has at most 6 decimals, not {_plain(amount)}"
        )


def check_timezone(name: str) -> None:
    """Accept the name of a time zone, as in the IANA database.

    Raises:
        InvalidInput: there is none of that name.
    """
    import zoneinfo

    known = zoneinfo.available_timezones()
    if name not in known:
        raise InvalidInput(
            reason=f"There is no time zone '{name}'{did_you_mean(name, known)}; say one like Europe/Berlin or UTC"
        )


def parse_amount(unit: Unit, text: str) -> Decimal:
    """What was typed as an amount: ``250000``, ``250_000``, ``250k``, ``2.5M`` tokens; ``5`` or ``2.50`` dollars.

    Raises:
        InvalidInput: it is none, or out of range.
    """
    typed = text.strip().removeprefix("$").replace("_", "").replace(",", "")
    factor = {"k": 10**3, "m": 10**6, "g": 10**9}.get(typed[-1:].lower(), 1) if unit is Unit.TOKENS else 1
    try:
        if not typed.isascii():
            raise InvalidOperation
        amount = Decimal(typed[:-1] if factor > 1 else typed) * factor
        if not amount.is_finite():
            raise InvalidOperation
    except DecimalException:
        example = "250000, 250k or 2M" if unit is Unit.TOKENS else "5 or 2.50"
        raise InvalidInput(reason=f"'{text}' is no amount of {unit}: say one like {example}") from None
    check_amount(unit, amount)
    return amount


def parse_share(text: str) -> Decimal:
    """What was typed as a share: ``80`` or ``80%``.

    Raises:
        InvalidInput: it is no percentage from 1 to 100.
    """
    try:
        share = Decimal(text.strip().removesuffix("%")) / 100
        if not Decimal("0.01") <= share <= 1:
            raise InvalidOperation
    except DecimalException:
        raise InvalidInput(reason=f"A budget warns at 1 to 100 percent of it, as in 80%, not at '{text}'") from None
    return share


def parse_grace(text: str) -> timedelta:
    """What was typed as a time: ``0s``, ``90s``, ``5m``, ``1h``.

    Raises:
        InvalidInput: it is none, or too long.
    """
    found = _GRACE.fullmatch(text.strip())
    grace = timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else None
    if grace is None or grace > LONGEST_GRACE:
        raise InvalidInput(reason=f"The grace of a budget is 0s to 24h, as in 90s, 5m or 1h, not '{text}'")
    return grace


def told(amount: Decimal, unit: str) -> str:
    """An amount for people: ``1,200 tokens``, ``$2.50``."""
    if unit == Unit.USD:
        shown = f"{amount:,.2f}" if amount == amount.quantize(Decimal("0.01")) else f"{amount.normalize():,f}"
        return f"${shown}"
    return f"{amount:,.0f} tokens"


def name_of(scope: str, unit: str, period: str, amount: Decimal) -> str:
    """A budget in a sentence: ``its project's budget of 1,000 tokens a day``."""
    whose = {"global": "the budget", "project": "its project's budget", "session": "its budget"}[scope]
    return f"{whose} of {told(amount, unit)} {Period(period).noun}"


def why_held(scope: str, unit: str, period: str, amount: Decimal, extra: Decimal, used: Decimal) -> str:
    """Why a session is held. ``extra`` was approved, or given back by a reset."""
    more = f", and {told(extra, unit)} more," if extra > 0 else ""
    over = f" ({told(used, unit)} were used)" if used > amount + extra else ""
    return f"{name_of(scope, unit, period, amount)}{more} is used up{over}"


def goes_on(ends_at: datetime) -> str:
    """When it goes on."""
    return f"it goes on at {ends_at:%Y-%m-%d %H:%M} {ends_at:%Z}".rstrip()


def _plain(amount: Decimal) -> str:
    return f"{amount:f}" if abs(amount.adjusted()) < 30 else f"{amount:.1e}"


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"
