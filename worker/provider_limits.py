"""Limits that agents of this host were told of by their providers: written down for the account, told to the workflow.

What was told is in the agent's hooks and transcript, and in what its follower knows: a daemon that dies over it has the
next one begin anew.
"""

import logging
from collections.abc import Sequence
from time import monotonic, time
from uuid import UUID, uuid5

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.agents.adapter import Limit
from stratavore.events.envelope import EventType, NewEvent
from stratavore.killpoints import effect
from stratavore.models.session import Hold, HoldSignal
from stratavore.store import accounts
from stratavore.store.database import Database
from worker.watched import Watched

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
SETTLE_SECONDS = 2.0
"""After a limit was told first, until it is acted on: its transcript knows better than its hook when it ends."""
AGAIN_SECONDS = 60.0


class ProviderLimits:
    """Looks for limits that ended turns."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client
        self._told: dict[str, float] = {}
        """When workflows were told, by request."""

    async def look(self, watched: Sequence[Watched]) -> None:
        """Have runners put away whose last turn ended over a limit."""
        now = monotonic()
        self._told = {request: at for request, at in self._told.items() if now - at < AGAIN_SECONDS}
        for one in watched:
            limit = one.follower.limit() if one.ending is None else None
            if limit and time() - limit.at.timestamp() >= SETTLE_SECONDS:
                await self._put_away(one, limit, now)

    async def note(self, one: Watched) -> Hold | None:
        """Write down the limit over which a runner's last turn has ended. Returns what holds its session by it."""
        limit = one.follower.limit()
        return await self._write(one, limit) if limit else None

    async def _put_away(self, one: Watched, limit: Limit, now: float) -> None:
        request_id = str(uuid5(UUID(one.session_id), f"{one.runner_id}/limit/{limit.at.isoformat()}"))
        if request_id in self._told:
            return
        hold = await self._write(one, limit)
        if hold is None:
            return
        message = HoldSignal(request_id=request_id, generation=naming.generation_of(one.runner_id), hold=hold)
        try:
            with effect("limits.hold"):
                await self._client.get_workflow_handle(naming.workflow_id(one.session_id)).signal("hold", message)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return  # terminated by hand: reconcile finds its runner
        self._told[request_id] = now
        log.info("the session %s is put away: %s", naming.short(one.session_id), hold.reason)

    async def _write(self, one: Watched, limit: Limit) -> Hold | None:
        async with self._database.transaction("limits.note") as transaction:
            found = await accounts.limit(transaction.connection, one.session_id, limit)
            if found is None:
                return None
            hold, changed = found
            if changed:
                transaction.emit(_event(one, hold, limit))
        return hold


def _event(one: Watched, hold: Hold, limit: Limit) -> NewEvent:
    data = {
        "provider": one.agent,
        "reason": hold.reason,
        "until": limit.until.isoformat() if limit.until else None,
        "told": limit.text,
        "session_id": one.session_id,
    }
    return NewEvent(None, hold.cause, EventType.ACCOUNT_LIMITED, one.project, data)
