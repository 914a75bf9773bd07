"""The connection pool, and transactions whose events are appended before they commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from stratavore.events.envelope import NewEvent
from stratavore.events.outbox import append
from stratavore.killpoints import effect
from stratavore.store.connection import Connection, arguments, use_json

CLOSE_SECONDS = 2.0


class Transaction:
    """An open transaction, and the events that its commit will imply."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._events: list[NewEvent] = []

    def emit(self, event: NewEvent) -> None:
        """Let an event happen if, and only if, this transaction commits."""
        self._events.append(event)

    async def flush(self, key: bytes) -> None:
        """Append what was emitted. Called once, before the commit."""
        if self._events:
            await append(self.connection, self._events, key=key)


class Database:
    """Postgres as every part of the system uses it. Away for a while is normal: callers retry."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", signing_key: bytes) -> None:
        self.pool = pool
        self._signing_key = signing_key

    @classmethod
    async def open(cls, dsn: str, signing_key: bytes, *, connections: int = 12) -> Self:
        """Connect; at most ``connections`` at once."""
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=connections, init=use_json, reset=_left_as_it_was, **arguments()
        )
        return cls(pool, signing_key)

    async def close(self) -> None:
        """Give the connections back. One that is silent is not waited for."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def transaction(self, name: str) -> AsyncIterator[Transaction]:
        """A transaction with the kill points ``name.before`` and ``name.after`` (after the commit)."""
        with effect(name):
            async with self.pool.acquire() as connection, connection.transaction():
                transaction = Transaction(connection)
                yield transaction
                await transaction.flush(self._signing_key)


async def _left_as_it_was(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nobody here changes a connection's settings, so undoing that (a round trip for every use) is left out."""


def as_dict(record: asyncpg.Record) -> dict[str, Any]:
    """A row as keyword arguments of a model."""
    return dict(record.items())
