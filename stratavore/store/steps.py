"""What a step of a session's workflow did, so that repeating it gives the same answer and no second effect."""

from typing import Any

from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def begin(connection: Connection, session_id: str, step: str) -> bool:
    """Say, in the transaction of its effects, that a step is done. Returns False if it was done before.

    Who does the same step at the same time waits here for the other's commit. Steps of one number are the same,
    whatever they do: a worker that froze can still be at one that the next worker, which heard of a signal as well, has
    used for something else.
    """
    return await connection.fetchval(SQL.begin, session_id, _number(step)) is not None


async def find(connection: Connection, session_id: str, step: str) -> Any | None:
    """The result that was kept of a step, if one was."""
    return await connection.fetchval(SQL.find, session_id, _number(step)) or None


async def keep(connection: Connection, session_id: str, step: str, result: Any) -> None:
    """Keep the result of a step that has begun, in the transaction of its effects."""
    await connection.execute(SQL.keep, session_id, _number(step), result)


def _number(step: str) -> str:
    """A step without its name, which comes after the last slash."""
    return step.rpartition("/")[0]
