"""What a step of a session's workflow did, so that repeating it gives the same answer and no second effect."""

from typing import Any

from stratavore.store.database import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def find(connection: Connection, session_id: str, step: str) -> Any | None:
    """The result of a step that was done before."""
    return await connection.fetchval(SQL.find, session_id, step)


async def write(connection: Connection, session_id: str, step: str, result: Any) -> None:
    """Keep a step's result, in the transaction of its effects; a second writer fails and finds it next time."""
    await connection.execute(SQL.write, session_id, step, result)
