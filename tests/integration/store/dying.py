"""A database whose user dies between any two statements of a transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg

from stratavore.store.connection import Connection
from stratavore.store.database import Database, Transaction
from tests.integration.store.steps import KEY

_STATEMENTS = ("execute", "fetch", "fetchrow", "fetchval")


class Died(Exception):
    """The process that ran the step is gone."""


DEATHS = (Died, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.InterfaceError)
"""What comes out of a step whose process, or whose connection, is gone."""


class Dying:
    """A connection that ends before one of its statements, or whose owner does."""

    def __init__(self, connection: Connection, statements: int, *, cut: bool = False) -> None:
        self._connection = connection
        self._left = statements
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        if name not in _STATEMENTS:
            return getattr(self._connection, name)
        self._left -= 1
        if self._left >= 0:
            return getattr(self._connection, name)
        if self._cut:
            return self._end
        raise Died

    async def _end(self, *_: Any, **__: Any) -> None:
        await self._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


class DyingDatabase(Database):
    """A database whose user dies after so many statements; the last of them may be that before the commit.

    Args:
        database: whose connections are used.
        statements: after so many.
        cut: Postgres ends the connection, as when it is killed.
    """

    def __init__(self, database: Database, statements: int, *, cut: bool = False) -> None:
        super().__init__(database.pool, KEY)
        self._statements = statements
        self._cut = cut

    @asynccontextmanager
    async def transaction(self, name: str) -> AsyncIterator[Transaction]:
        async with super().transaction(name) as transaction:
            dying = Dying(transaction.connection, self._statements, cut=self._cut)
            transaction.connection = cast(Connection, dying)
            yield transaction
