"""Budgets that come to their end: who tells it, and who puts away the sessions of this host that they hold.

Everything is read from Postgres; a daemon that dies has nothing to hand over.
"""

import logging

from temporalio.client import Client

from stratavore.events.envelope import EventType, NewEvent
from stratavore.store import budgets
from stratavore.store.budgets import Crossing
from stratavore.store.database import Database
from worker.holding import Holding

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class Budgets:
    """Looks after budgets: those of all hosts are told by one, live runners are ended by their own host."""

    def __init__(self, host: str, database: Database, client: Client) -> None:
        self._host = host
        self._database = database
        self._holding = Holding(client)

    async def look(self) -> None:
        """Tell what has come to its warning or its end; have runners put away whose turn, or grace, is over."""
        async with self._database.transaction("budgets.cross") as transaction:
            for crossing in await budgets.cross(transaction.connection):
                transaction.emit(_event(crossing))
        async with self._database.pool.acquire() as connection:
            overdrawn = await budgets.overdrawn(connection, self._host)
        for one in overdrawn:
            if one.due:
                about = f"{one.generation}/{one.hold.cause}"
                await self._holding.put_away(one.session_id, one.generation, one.hold, about)


def _event(crossing: Crossing) -> NewEvent:
    """What is over is no warning any more."""
    kind = EventType.BUDGET_EXCEEDED if crossing.ends else EventType.BUDGET_WARNING
    data = {
        "budget_id": crossing.budget_id,
        "scope": crossing.scope,
        "scope_id": crossing.scope_id,
        "unit": crossing.unit,
        "period": crossing.period,
        "timezone": crossing.timezone,
        "starts_at": crossing.starts_at.isoformat(),
        "ends_at": crossing.ends_at.isoformat(),
        "amount": float(crossing.amount),
        "extra": float(crossing.extra),
        "used": float(crossing.used),
        "action": crossing.action,
    }
    limit = crossing.amount + crossing.extra
    about = f"{crossing.budget_id}/{crossing.starts_at.isoformat()}/{limit.normalize():f}"
    return NewEvent(None, f"budget/{about}/{kind}", kind, crossing.project, data)
