"""Slots and the waiting line. Everything here runs inside the caller's transaction."""

from stratavore import naming
from stratavore.models.steps import Admission
from stratavore.store import limits
from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def join(connection: Connection, session_id: str, project_id: str) -> Admission:
    """Take a slot, or a place in the line; who has one keeps it."""
    await connection.execute(SQL.join_line, session_id, project_id)
    granted = await _grant(connection)
    if session_id in granted:
        return Admission(granted=True, grants=tuple(other for other in granted if other != session_id))
    return (await standing(connection, session_id)).model_copy(update={"grants": granted})


async def join_if_free(connection: Connection, session_id: str, project_id: str) -> Admission:
    """Take a slot, or nothing: then the answer says why there was none."""
    joined = await join(connection, session_id, project_id)
    if joined.granted:
        return joined
    full = await limits.blocking(connection, project_id)
    await connection.execute(SQL.leave, session_id)
    # Nobody is in the way, but others came first.
    why = full.full if full else f"{naming.plural(joined.position - 1, 'session')} came before it"
    return joined.model_copy(update={"position": 0, "reason": None, "refused": why})


async def enter(connection: Connection, session_id: str, project_id: str) -> str | None:
    """Take a slot past every limit. Returns what would have held the session up; None: nothing."""
    await connection.execute(SQL.lock)
    full = await limits.blocking(connection, project_id)
    await connection.execute(SQL.enter, session_id, project_id)
    return full.reason if full else None


async def standing(connection: Connection, session_id: str) -> Admission:
    """What a session has now: a slot, a place in the line, or neither."""
    mine = await connection.fetchrow(SQL.place_in_line, session_id)
    if mine is None:
        return Admission(granted=False)
    if mine["granted"]:
        return Admission(granted=True)
    full = await limits.blocking(connection, mine["project_id"])
    return Admission(
        granted=False,
        position=mine["position"],
        ticket=mine["ticket"],
        limit=full.name if full else None,
        reason=full.reason if full else None,
    )


async def leave(connection: Connection, session_id: str) -> tuple[str, ...]:
    """Give back the slot or the place in line. Returns the sessions that got a slot by it."""
    await lock(connection)
    await connection.execute(SQL.leave, session_id)
    return await _grant(connection)


async def lock(connection: Connection) -> None:
    """Let the transaction be the only one that gives or takes slots. Comes after the sessions' own rows."""
    await connection.execute(SQL.lock)


async def grant(connection: Connection, *, most: int | None = None) -> tuple[str, ...]:
    """Let in whoever has room, after a limit was raised; at most so many. Returns them in the order of the line."""
    await lock(connection)
    return await _grant(connection, most)


async def unheard(connection: Connection) -> tuple[str, ...]:
    """Who holds a slot and has not gone on with it, in the order of the line: perhaps nobody told them."""
    return tuple(row["session_id"] for row in await connection.fetch(SQL.unheard))


async def _grant(connection: Connection, most: int | None = None) -> tuple[str, ...]:
    rows = await connection.fetch(SQL.grant, most)
    return tuple(row["session_id"] for row in sorted(rows, key=lambda row: row["ticket"]))
