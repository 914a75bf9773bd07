"""What replies used and cost: each once, however often it is read."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from stratavore import prices
from stratavore.agents.conversation import Reply, Tokens
from stratavore.models.views import DaySpentView, ModelUsageView, SpentView
from stratavore.store import budgets
from stratavore.store.budgets import Charge
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


@dataclass(frozen=True)
class Used:
    """A reply that a runner recorded, with its price."""

    runner_id: str
    session_id: str
    reply: Reply
    cost_usd: Decimal | None

    @classmethod
    def of(cls, runner_id: str, session_id: str, reply: Reply) -> "Used":
        """With the price of today's list. Not for the event loop."""
        return cls(runner_id, session_id, reply, prices.cost(reply.model, reply.at, reply.tokens, reply.terms))


def merged(used: Iterable[Used]) -> list[Used]:
    """Each reply once, with the largest count of each kind of token."""
    found: dict[tuple[str, str], Used] = {}
    for one in used:
        key = (one.session_id, one.reply.id)
        found[key] = _at_least(one, found[key].reply.tokens) if key in found else one
    return list(found.values())


async def add(connection: Connection, used: Iterable[Used]) -> None:
    """Count replies for their runners, within a transaction that has locked their sessions.

    A reply that is known already counts for the runner that recorded it first, by what it is larger now.
    """
    wanted = merged(used)
    if not wanted:
        return
    rows = await connection.fetch(SQL.known, [one.session_id for one in wanted], [one.reply.id for one in wanted])
    known = {
        (session_id, id_): (Tokens(*counts), at, cost)
        for session_id, id_, at, cost, *counts in (row.values() for row in rows)
    }
    new, charges = [], []
    for one in wanted:
        before, at, paid = known.get((one.session_id, one.reply.id), (None, one.reply.at, None))
        now = one if before is None else _at_least(one, before)
        if now.reply.tokens != before:
            new.append(now)
            more = now.reply.tokens.total - (before.total if before else 0)
            cost = (now.cost_usd or Decimal(0)) - (paid or Decimal(0))
            charges.append(Charge(one.session_id, at, more, cost))  # to the period that it is summed in
    if new:
        await _write(connection, new)
        await budgets.charge(connection, charges)


async def by_model(connection: Connection, session_id: str) -> list[ModelUsageView]:
    """What a session used, by model."""
    rows = await connection.fetch(SQL.by_model, session_id)
    return [ModelUsageView.model_validate(as_dict(row)) for row in rows]


async def spent(
    connection: Connection,
    by: Literal["project", "session", "model", "day"],
    since: datetime | None,
    project: str | None,
) -> list[SpentView]:
    """What was used, by one of four; of all time unless ``since``, of all projects unless one is named."""
    rows = await connection.fetch(SQL.spent, by, since, project)
    return [SpentView.model_validate(as_dict(row)) for row in rows]


async def spent_by_day(
    connection: Connection, since: date | None = None, until: date | None = None, project: str | None = None
) -> list[DaySpentView]:
    """What each session used of each model on each day of UTC, from one day to another, both included; in order."""
    rows = await connection.fetch(SQL.spent_by_day, since, until, project)
    return [DaySpentView.model_validate(as_dict(row)) for row in rows]


async def _write(connection: Connection, used: Sequence[Used]) -> None:
    tokens = [one.reply.tokens for one in used]
    await connection.execute(
        SQL.add,
        [one.session_id for one in used],
        [one.reply.id for one in used],
        [one.runner_id for one in used],
        [one.reply.model for one in used],
        [one.reply.at for one in used],
        [one.input for one in tokens],
        [one.output for one in tokens],
        [one.cache_creation for one in tokens],
        [one.cache_read for one in tokens],
        [one.cost_usd for one in used],
        [one.cache_creation_1h for one in tokens],
    )


def _at_least(one: Used, tokens: Tokens) -> Used:
    """The reply with no count below those given, at its price."""
    reply = one.reply
    largest = Tokens(*(max(pair) for pair in zip(astuple(reply.tokens), astuple(tokens), strict=True)))
    if largest == reply.tokens:
        return one
    return Used.of(one.runner_id, one.session_id, replace(reply, tokens=largest))
