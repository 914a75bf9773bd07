"""Limits of memory, by what runners are measured to use: less lets in who waits, more is told, and perhaps ended.

Everything is read from Postgres, and decided there by one daemon at a time; one that dies has nothing to hand over.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Literal
from uuid import uuid4

from temporalio.client import Client

from stratavore import naming
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.session import Hold
from stratavore.models.states import SessionState
from stratavore.signals import wake
from stratavore.store import admission, memory
from stratavore.store.database import Database, Transaction
from stratavore.store.memory import Chosen, Measured
from worker.holding import Holding

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
Action = Literal["warn", "pause", "terminate"]
_ENDS_AS: dict[str, SessionState] = {"pause": SessionState.PAUSED, "terminate": SessionState.ENDED}
_MEMORY = "max-memory"


class MemoryLimits:
    """Looks after them for all hosts."""

    def __init__(self, database: Database, client: Client, action: Action, grace: timedelta) -> None:
        """After ``grace`` above a limit, the ``action`` is taken on one runner at a time."""
        self._database = database
        self._client = client
        self._holding = Holding(client)
        self._action = action
        self._grace = grace

    async def look(self) -> None:
        """Tell of limits that are passed, end a runner of those that were for long, let in who has room."""
        holds: list[tuple[Chosen, Hold]] = []
        async with self._database.transaction("memory.look") as transaction:
            connection = transaction.connection
            if not await memory.claim(connection):
                return
            for one in await memory.measured(connection):
                if found := await self._decide(transaction, one):
                    holds.append((found, self._hold(one, found)))
            granted = await admission.grant(connection) if await memory.waited_for(connection) else ()
        await asyncio.gather(*(wake(self._client, one) for one in granted))
        for found, hold in holds:
            await self._holding.put_away(found.session_id, found.generation, hold, f"memory/{found.runner_id}")

    async def _decide(self, transaction: Transaction, one: Measured) -> Chosen | None:
        """Write down what follows from a measurement. Returns the runner that is to be ended, until it has."""
        connection = transaction.connection
        if not one.is_over:
            await memory.keep(connection, one, restart=False)
        elif not one.told:
            await memory.keep(connection, one, restart=True)
            self._tell(transaction, one, f"{_told(one)}, more than {_MEMORY} lets")
        elif one.lasts is None or (one.runner_id and not one.is_ending):
            # It is measured anew without the one that has ended, before another one is.
            await memory.keep(connection, one, restart=True)
        elif self._action in _ENDS_AS and one.runner_id:
            return await memory.chosen(connection, one.runner_id)  # told again, until it has ended
        elif self._action in _ENDS_AS and one.lasts >= self._grace:
            if found := await memory.choose(connection, one):
                await memory.keep(connection, one, restart=True, runner_id=found.runner_id)
                done = "paused" if self._action == "pause" else "ended"
                self._tell(transaction, one, f"{self._hold(one, found).reason}; it is {done}", found)
            return found
        return None

    def _hold(self, one: Measured, found: Chosen) -> Hold:
        own = "" if one.scope == "session" else f", {found.memory_mb:,.0f} MB of them this session"
        return Hold(
            state=_ENDS_AS[self._action], reason=f"{_told(one)}{own}, over {_MEMORY}", cause=f"memory/{found.runner_id}"
        )

    def _tell(self, transaction: Transaction, one: Measured, message: str, found: Chosen | None = None) -> None:
        ended = {"session_id": found.session_id, "runner_id": found.runner_id, "action": self._action} if found else {}
        data = {
            "severity": "warning",
            "message": message,
            "limit": "max_memory_mb",
            "scope": one.scope,
            "scope_id": one.scope_id,
            "value": one.value,
            "used": round(one.used),
        } | ended
        key = f"memory/{found.runner_id}" if found else f"memory/{uuid4()}"
        project = one.project if one.scope != "global" else ""
        transaction.emit(NewEvent(None, key, EventType.SYSTEM_ALERT, project, data))
        log.warning("%s", message)


def _told(one: Measured) -> str:
    match one.scope:
        case "session":
            whose = f"the session {naming.short(one.scope_id)}"
        case "project":
            whose = f"the project {one.project}"
        case _:
            whose = "all sessions together"
    return f"{whose} used {one.used:,.0f} of {one.value:,} MB"
