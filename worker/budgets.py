"""Budgets that come to their end: who tells it, and who puts away the sessions of this host that they hold.

Everything is read from Postgres; a daemon that dies has nothing to hand over.
"""

import logging
from time import monotonic
from uuid import UUID, uuid5

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.events.envelope import EventType, NewEvent
from stratavore.killpoints import effect
from stratavore.models.session import HoldSignal
from stratavore.store import budgets
from stratavore.store.budgets import Crossing, Overdrawn
from stratavore.store.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 60.0
"""When a workflow that was told is told again, with the same id: it may have been restored from a backup."""


class Budgets:
    """Looks after budgets: those of all hosts are told by one, live runners are ended by their own host."""

    def __init__(self, host: str, database: Database, client: Client) -> None:
        self._host = host
        self._database = database
        self._client = client
        self._told: dict[str, float] = {}
        """When workflows were told, by request."""

    async def look(self) -> None:
        """Tell what has come to its warning or its end; have runners put away whose turn, or grace, is over."""
        async with self._database.transaction("budgets.cross") as transaction:
            for crossing in await budgets.cross(transaction.connection):
                transaction.emit(_event(crossing))
        async with self._database.pool.acquire() as connection:
            overdrawn = await budgets.overdrawn(connection, self._host)
        now = monotonic()
        self._told = {request: at for request, at in self._told.items() if now - at < AGAIN_SECONDS}
        for one in overdrawn:
            if one.due:
                await self._put_away(one, now)

    async def _put_away(self, one: Overdrawn, now: float) -> None:
        request_id = str(uuid5(UUID(one.session_id), f"{one.generation}/{one.hold.cause}"))
        if request_id in self._told:
            return
        message = HoldSignal(request_id=request_id, generation=one.generation, hold=one.hold)
        try:
            with effect("budgets.hold"):
                await self._client.get_workflow_handle(naming.workflow_id(one.session_id)).signal("hold", message)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return  # terminated by hand: reconcile finds its runner
        self._told[request_id] = now
        log.info("the session %s is put away: %s", naming.short(one.session_id), one.hold.reason)


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
