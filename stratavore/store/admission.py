"""Slots and the waiting line. Everything here runs inside the caller's transaction."""

from stratavore.store.database import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def join(connection: Connection, session_id: str, project_id: str) -> tuple[bool, int, tuple[str, ...]]:
    """Take a slot, or a place in the line; who has one keeps it.

    Returns:
        Whether a slot is held; else the place in line, from 1; and the other sessions that got a slot just now.
    """
    await connection.execute(SQL.join_line, session_id, project_id)
    granted = await _grant(connection)
    if session_id in granted:
        return True, 0, tuple(other for other in granted if other != session_id)
    mine = await connection.fetchrow(SQL.place_in_line, session_id)
    assert mine is not None
    return mine["granted"], 0 if mine["granted"] else mine["position"], granted


async def leave(connection: Connection, session_id: str) -> tuple[str, ...]:
    """Give back the slot or the place in line. Returns the sessions that got a slot by it."""
    await connection.execute(SQL.lock)
    await connection.execute(SQL.leave, session_id)
    return await _grant(connection)


async def grant(connection: Connection) -> tuple[str, ...]:
    """Let in whoever has room, after a limit was raised."""
    await connection.execute(SQL.lock)
    return await _grant(connection)


async def _grant(connection: Connection) -> tuple[str, ...]:
    return tuple(row["session_id"] for row in await connection.fetch(SQL.grant))
