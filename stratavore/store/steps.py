"""What a step of a session's workflow did, so that repeating it gives the same answer and no second effect."""

from typing import Any

from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def begin(connection: Connection, session_id: str, step: str) -> bool:
    """Say, in the transaction of its effects, that a step is done. Returns False if it was done before.

    Who does the same step at the same time waits here for the other's commit.
    """
    return await connection.fetchval(SQL.begin, session_id, step) is not None


async def find(connection: Connection, session_id: str, step: str) -> Any | None:
    """The result of a step that was done before."""
    return await connection.fetchval(SQL.find, session_id, step)


async def write(connection: Connection, session_id: str, step: str, result: Any) -> None:
    """Keep a step's result, in the transaction of its effects; a second writer fails and finds it next time."""
    await connection.execute(SQL.write, session_id, step, result)
