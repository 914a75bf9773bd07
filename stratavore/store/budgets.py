"""Budgets and what was charged to them. Everything here runs inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from stratavore.budgets import Action, Budget, goes_on, why_held
from stratavore.models.session import Hold
from stratavore.models.states import Activity, SessionState
from stratavore.models.views import BudgetPeriodView, BudgetView
from stratavore.naming import short
from stratavore.stagger import staggered
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

RESET_TAKES = timedelta(seconds=30)
"""In this time after its end a period's reset wakes most who wait for it."""
_STATES = {
    Action.PAUSE: SessionState.LIMITED,
    Action.ASK: SessionState.ASKING,
    Action.TERMINATE: SessionState.ENDED,
}


@dataclass(frozen=True)
class Charge:
    """What one reply adds."""

    session_id: str
    at: datetime
    tokens: int
    usd: Decimal


@dataclass(frozen=True)
class Crossing:
    """A budget that has come to its warning, or to its end."""

    budget_id: str
    scope: str
    scope_id: str
    unit: str
    period: str
    timezone: str
    starts_at: datetime
    ends_at: datetime
    amount: Decimal
    extra: Decimal
    used: Decimal
    action: str
    warns: bool
    ends: bool
    project: str


@dataclass(frozen=True)
class Overdrawn:
    """A live runner that a budget holds."""

    runner_id: str
    session_id: str
    generation: int
    activity: Activity
    grace_over: bool
    hold: Hold

    @property
    def due(self) -> bool:
        """Whether it is put away now: at the end of its turn, or when the grace is over; or it ends at once."""
        return self.hold.state is SessionState.ENDED or self.activity is not Activity.BUSY or self.grace_over


@dataclass(frozen=True)
class Begun:
    """A budget whose period has begun."""

    budget_id: str
    scope: str
    scope_id: str
    unit: str
    period: str
    amount: Decimal
    project: str
    used_before: Decimal
    """In the last period in which something was used."""


async def charge(connection: Connection, charges: Sequence[Charge]) -> None:
    """Charge replies to every budget that they fall under. Comes after all other locks."""
    await connection.execute(
        SQL.charge,
        [one.session_id for one in charges],
        [one.at for one in charges],
        [one.tokens for one in charges],
        [one.usd for one in charges],
    )


async def lock(connection: Connection) -> None:
    """Let the transaction be the only one that charges or changes budgets.

    Who changes several of them comes to them in another order than who charges them.
    """
    await connection.execute(SQL.lock)


async def set_budget(connection: Connection, scope: str, scope_id: str, budget: Budget) -> str:
    """Set a budget, and charge to its present period what was used in it already. Returns its id."""
    await lock(connection)
    id_ = await connection.fetchval(
        SQL.set,
        scope,
        scope_id,
        budget.unit,
        budget.period,
        budget.timezone,
        budget.amount,
        budget.warn_at,
        budget.action,
        budget.grace,
    )
    await connection.execute(SQL.begin, id_)
    return str(id_)


async def unset(
    connection: Connection, scope: str, scope_id: str, unit: str | None = None, period: str | None = None
) -> list[str]:
    """Take budgets away, with their history. Returns their ids."""
    await lock(connection)  # else a charge could find its budget gone
    return [str(row["id"]) for row in await connection.fetch(SQL.unset, scope, scope_id, unit, period)]


async def views(connection: Connection, scope: str | None = None, scope_id: str = "") -> list[BudgetView]:
    """All budgets, or those of a scope, in their present periods."""
    return [BudgetView.model_validate(as_dict(row)) for row in await connection.fetch(SQL.views, scope, scope_id)]


async def history(
    connection: Connection, scope: str | None = None, scope_id: str = "", most: int = 100
) -> list[BudgetPeriodView]:
    """Periods in which something was charged, the latest first."""
    rows = await connection.fetch(SQL.history, scope, scope_id, most)
    return [BudgetPeriodView.model_validate(as_dict(row)) for row in rows]


async def give(connection: Connection, budget_id: str, amount: Decimal | None) -> None:
    """Let so much more be used from now until the period ends; None: as much as the budget is.

    Within a transaction that has locked budgets before it asked which of them to give to.
    """
    await connection.execute(SQL.give, budget_id, amount)


async def holding(connection: Connection, session_id: str) -> Hold | None:
    """The budget that holds a session now; None: none does."""
    row = await connection.fetchrow(SQL.holding, session_id)
    return None if row is None else _hold(session_id, as_dict(row))


async def holding_ids(connection: Connection, session_id: str) -> list[str]:
    """Every budget that holds a session now."""
    return [row["budget_id"] for row in await connection.fetch(SQL.holding_ids, session_id)]


async def pass_by(connection: Connection, session_id: str) -> None:
    """Let a session go on past the budgets that hold it, until their periods end."""
    await connection.execute(SQL.pass_by, session_id)


async def cross(connection: Connection) -> list[Crossing]:
    """Budgets that have come to their warning or their end since somebody asked last; this transaction tells it."""
    if not await connection.fetchval(SQL.any_crossing):
        return []
    await lock(connection)  # what is given meanwhile would be marked as used up already
    return [Crossing(**as_dict(row)) for row in await connection.fetch(SQL.cross)]


async def overdrawn(connection: Connection, host: str) -> list[Overdrawn]:
    """Live runners of a host that a budget holds."""
    if not await connection.fetchval(SQL.any_used_up):
        return []
    return [
        Overdrawn(
            row["runner_id"],
            row["session_id"],
            row["generation"],
            Activity(row["activity"]),
            row["grace_over"] or False,
            _hold(row["session_id"], as_dict(row)),
        )
        for row in await connection.fetch(SQL.overdrawn, host)
    ]


async def periods(connection: Connection, period: str, timezone: str, at: datetime) -> tuple[datetime, datetime]:
    """When the present period began, by the clock of Postgres, and the one that belongs to a time."""
    row = await connection.fetchrow(SQL.periods, period, timezone, at)
    assert row is not None
    return row["present"], row["due"]


async def begun(connection: Connection, period: str, timezone: str) -> list[Begun]:
    """The budgets of a period and a clock."""
    return [Begun(**as_dict(row)) for row in await connection.fetch(SQL.begun, period, timezone)]


async def clocks(connection: Connection) -> list[tuple[str, str]]:
    """Periods and time zones that there are budgets of."""
    return [(row["period"], row["timezone"]) for row in await connection.fetch(SQL.clocks)]


def _hold(session_id: str, row: dict[str, Any]) -> Hold:
    action = Action(row["action"])
    reason = why_held(row["scope"], row["unit"], row["period"], row["amount"], row["extra"], row["used"])
    ends_at: datetime = row["ends_at"]
    limit: Decimal = row["amount"] + row["extra"]
    match action:
        case Action.PAUSE:
            reason += f"; {goes_on(ends_at.astimezone(ZoneInfo(row['timezone'])))}"
        case Action.ASK:
            reason += f"; let it go on with: stratavore approve {short(session_id)}"
    return Hold(
        state=_STATES[action],
        reason=reason,
        cause=f"budget/{row['budget_id']}/{row['starts_at'].isoformat()}/{limit.normalize():f}",
        # Whose reset tells it, in its turn, comes first; this is the net.
        until=ends_at + RESET_TAKES + staggered(session_id),
    )
