"""``stratavore budget``."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.output import Column, Format, FormatOption, Row, show
from cli.service import service
from stratavore.budgets import Action, Period, Unit, parse_amount, parse_grace, parse_share, told
from stratavore.errors import InvalidInput

KEYS = (
    *("budget_id", "scope", "project", "session_id", "unit", "period", "timezone", "amount", "warn_at", "action"),
    *("grace_s", "used", "extra", "used_up", "starts_at", "ends_at", "warned_at", "reached_at", "held"),
)
HISTORY_KEYS = (
    *("scope", "project", "session_id", "unit", "period", "starts_at", "ends_at", "amount", "extra", "used"),
    *("warned_at", "reached_at"),
)

BUDGET = Noun(
    """Show and set budgets: how many tokens or dollars may be spent in an hour, a day, a week or a month.

    Each reply of an agent is charged to the budgets of its session, of its project and of everything, once, as it is
    counted. At a share of it (80 %) an event warns. What happens at its end is chosen: warn, pause (sessions are put
    away at the end of their turn, or after a grace, and go on by themselves in the next period), ask (they wait for
    'stratavore approve') or terminate. What a turn under way uses beyond the budget is counted, too.

    Examples:
        stratavore budget set site --usd 20 --period daily --timezone Europe/Berlin
        stratavore budget set global --tokens 5M --period weekly --at-limit ask
        stratavore budget show
        stratavore budget history site
    """,
    {
        "show": Entry("cli.budget:show_budgets", "Show budgets, and what is used of them."),
        "set": Entry("cli.budget:set_budget", "Set a budget."),
        "unset": Entry("cli.budget:unset_budget", "Take budgets away."),
        "reset": Entry("cli.budget:reset_budget", "Begin budgets anew before their time."),
        "history": Entry("cli.budget:history", "Show what was used in earlier periods."),
    },
    default="show",
)

TargetArgument = Annotated[
    str, typer.Argument(metavar="TARGET|global", help="A project, a session, or everything together.")
]
MaybeTarget = Annotated[
    str | None, typer.Argument(metavar="[TARGET|global]", help="Of this one; by default all budgets.")
]
TokensOption = Annotated[str | None, typer.Option("--tokens", metavar="N", help="In tokens: 250000, 250k, 2M.")]
UsdOption = Annotated[str | None, typer.Option("--usd", metavar="X", help="In US dollars: 5, 2.50.")]
UnitOption = Annotated[Unit | None, typer.Option("--unit", metavar="UNIT", help="Only those in tokens, or in usd.")]
PeriodOption = Annotated[
    Period | None, typer.Option("--period", metavar="PERIOD", help="Only those: hourly, daily, weekly or monthly.")
]


def show_budgets(target: MaybeTarget = None, form: FormatOption = Format.TABLE) -> None:
    """Show budgets, and what is used of them in their present periods.

    Examples:
        stratavore budget show
        stratavore budget show site --format json
    """
    _show(service.call("show_budgets", target=target), form)


def set_budget(
    target: TargetArgument,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    period: Annotated[
        Period, typer.Option("--period", metavar="PERIOD", help="hourly, daily, weekly or monthly.")
    ] = Period.DAILY,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Whose clock the periods follow: Europe/Berlin, UTC, ...")
    ] = "UTC",
    warn_at: Annotated[
        str, typer.Option("--warn-at", metavar="PERCENT", help="When an event warns that it comes to its end.")
    ] = "80%",
    action: Annotated[
        Action, typer.Option("--at-limit", metavar="ACTION", help="warn, pause, ask or terminate.")
    ] = Action.PAUSE,
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="How long a turn under way may go on then: 0s, 90s, 5m, 1h.")
    ] = "5m",
    form: FormatOption = Format.TABLE,
) -> None:
    """Set a budget. What was used in its present period counts already.

    A target has one budget for each unit and period. Weeks begin on Monday.

    Examples:
        stratavore budget set site --usd 20
        stratavore budget set site --tokens 500k --period hourly --at-limit ask
        stratavore budget set global --usd 300 --period monthly --timezone America/New_York --warn-at 90%
        stratavore budget set 1a2b3c4d --tokens 2M --at-limit terminate
    """
    unit, amount = _amount(tokens, usd)
    found = service.call(
        "set_budget",
        away="the budget is set, and holds when a daemon is back",
        target=target,
        unit=unit,
        amount=amount,
        period=period,
        timezone=timezone,
        warn_at=str(parse_share(warn_at)),
        action=action,
        grace_s=parse_grace(grace).total_seconds(),
    )
    _show(found, form)


def unset_budget(
    target: TargetArgument,
    unit: UnitOption = None,
    period: PeriodOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Take budgets away, with their history; who is held by them goes on.

    Examples:
        stratavore budget unset site
        stratavore budget unset site --unit usd --period daily
    """
    _show(service.call("unset_budget", target=target, unit=unit, period=period), form)


def reset_budget(
    target: TargetArgument,
    unit: UnitOption = None,
    period: PeriodOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Begin budgets anew before their time: the whole amount may be used from now on, until the period ends.

    Examples:
        stratavore budget reset site
        stratavore budget reset global --period weekly
    """
    found = service.call("reset_budget", target=target, request_id=str(uuid4()), unit=unit, period=period)
    _show(found, form)


def history(
    target: MaybeTarget = None,
    most: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most so many periods.")] = 100,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what was used in the present period and in earlier ones, the latest first.

    A period is there if something was used in it. ADDED is what was approved, or given back by a reset.

    Examples:
        stratavore budget history site
        stratavore budget history --limit 10 --format json
    """
    if not 1 <= most <= 10_000:
        raise InvalidInput(reason=f"--limit is a number from 1 to 10000, not {most}")
    found = service.call("budget_history", target=target, most=most)
    show(found, form, HISTORY_KEYS, _HISTORY, empty="Nothing was charged to a budget.")


def _amount(tokens: str | None, usd: str | None) -> tuple[Unit, str]:
    """The unit and the amount that were typed.

    Raises:
        InvalidInput: not exactly one of them was, or it is no amount.
    """
    if (tokens is None) == (usd is None):
        raise InvalidInput(reason="Say how much: --tokens N or --usd X, one of them")
    unit, typed = (Unit.TOKENS, tokens) if tokens is not None else (Unit.USD, usd)
    return unit, f"{parse_amount(unit, typed or ''):f}"


def _show(found: list[Row], form: Format) -> None:
    show(found, form, KEYS, COLUMNS, empty="No budgets.")


def whose(row: Row) -> str:
    """Whose budget it is."""
    return text.short(row["session_id"]) if row["session_id"] else row["project"] or row["scope"]


def _told(row: Row, amount: float) -> str:
    from decimal import Decimal

    return told(Decimal(str(amount)), row["unit"]).removesuffix(" tokens")


def _left(row: Row) -> Any:
    return _told(row, max(0.0, row["amount"] + row["extra"] - row["used"]))


def _extra(row: Row) -> str:
    return _told(row, row["extra"]) if row["extra"] else ""


COLUMNS = [
    Column("TARGET", whose, cut=True),
    Column("UNIT", lambda row: row["unit"]),
    Column("PERIOD", lambda row: row["period"]),
    Column("BUDGET", lambda row: _told(row, row["amount"]), right=True),
    Column("USED", lambda row: _told(row, row["used"]), right=True),
    Column("LEFT", _left, right=True),
    Column("ADDED", _extra, right=True, drop=4),
    Column("AT LIMIT", lambda row: row["action"], drop=2),
    Column("HELD", lambda row: row["held"] or "", right=True, drop=1),
    Column("UNTIL", lambda row: text.clock(row["ends_at"]), drop=3),
]
_HISTORY = [
    Column("TARGET", whose, cut=True),
    Column("UNIT", lambda row: row["unit"]),
    Column("PERIOD", lambda row: row["period"]),
    Column("FROM", lambda row: text.clock(row["starts_at"])),
    Column("BUDGET", lambda row: _told(row, row["amount"]), right=True),
    Column("ADDED", _extra, right=True, drop=2),
    Column("USED", lambda row: _told(row, row["used"]), right=True),
    Column("USED UP", lambda row: text.clock(row["reached_at"]) if row["reached_at"] else "", drop=1),
]
