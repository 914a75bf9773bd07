"""Commands whose effect is no state: what became of them, by request id."""

from dataclasses import dataclass

from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


@dataclass(frozen=True)
class Outcome:
    """``doing``, ``done`` or ``refused``, with what belongs to it: where to read on, when it was taken, why not."""

    state: str
    detail: str | None


async def begin(
    connection: Connection,
    request_id: str,
    session_id: str,
    kind: str,
    detail: str | None = None,
    *,
    instead_of: str | None = None,
) -> bool:
    """Say that the effect is about to happen. Returns False if that was said before: it may have happened.

    ``instead_of``: the detail of a beginning that is known to have come to nothing.
    """
    return await connection.fetchval(SQL.begin, request_id, session_id, kind, detail, instead_of) is not None


async def finish(
    connection: Connection, request_id: str, session_id: str, kind: str, *, detail: str | None = None
) -> None:
    """Say that it was done; the first word counts."""
    await connection.execute(SQL.finish, request_id, session_id, kind, "done", detail)


async def refuse(connection: Connection, request_id: str, session_id: str, kind: str, reason: str) -> None:
    """Say why it was not done; the first word counts."""
    await connection.execute(SQL.finish, request_id, session_id, kind, "refused", reason)


async def outcome(connection: Connection, request_id: str) -> Outcome | None:
    """What is known of a request."""
    row = await connection.fetchrow(SQL.outcome, request_id)
    return Outcome(row["state"], row["detail"]) if row else None
