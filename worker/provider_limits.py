"""Limits that agents of this host were told of by their providers: written down for the account, told to the workflow.

What was told is in the agent's hooks and transcript, and in what its follower knows: a daemon that dies over it has the
next one begin anew.
"""

import logging
from collections.abc import Sequence
from time import time

from temporalio.client import Client

from stratavore import naming
from stratavore.agents.adapter import Limit
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.session import Hold
from stratavore.store import accounts
from stratavore.store.database import Database
from worker.holding import Holding
from worker.watched import Watched

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
SETTLE_SECONDS = 2.0
"""After a limit was told first, until it is acted on: its transcript knows better than its hook when it ends."""


class ProviderLimits:
    """Looks for limits that ended turns."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._holding = Holding(client)

    async def look(self, watched: Sequence[Watched]) -> None:
        """Have runners put away whose last turn ended over a limit."""
        for one in watched:
            limit = one.follower.limit() if one.ending is None else None
            if limit and time() - limit.at.timestamp() >= SETTLE_SECONDS:
                await self._put_away(one, limit)

    async def note(self, one: Watched) -> Hold | None:
        """Write down the limit over which a runner's last turn has ended. Returns what holds its session by it."""
        limit = one.follower.limit()
        return await self._write(one, limit) if limit else None

    async def _put_away(self, one: Watched, limit: Limit) -> None:
        about = f"{one.runner_id}/limit/{limit.at.isoformat()}"
        if not self._holding.is_told(one.session_id, about) and (hold := await self._write(one, limit)):
            generation = naming.generation_of(one.runner_id)
            await self._holding.put_away(one.session_id, generation, hold, about)

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
