"""Limits: rows with a scope."""

from collections.abc import Mapping
from datetime import UTC, date, timedelta
from typing import NamedTuple

from stratavore import quotas
from stratavore.budgets import goes_on
from stratavore.models.session import Hold
from stratavore.models.states import SessionState
from stratavore.models.views import QuotaView
from stratavore.stagger import staggered
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

RESET_TAKES = timedelta(seconds=30)
"""In this time after midnight the reset wakes most who wait for it."""


class Blocking(NamedTuple):
    """A limit that lets nobody in, and what is said of it."""

    name: str
    full: str

    @property
    def reason(self) -> str:
        """Why somebody waits."""
        return f"waits: {self.full}"


class Limit(NamedTuple):
    """A limit's value, and what set it if no person did."""

    value: int
    source: str | None


async def set_limit(
    connection: Connection, scope: str, scope_id: str, name: str, value: int | None, source: str | None = None
) -> None:
    """Set a limit of everything, a project or a session, or take it away (``value`` None).

    ``source`` is what sets it, if no person does.
    """
    if value is None:
        await connection.execute(SQL.unset, scope, scope_id, name)
    else:
        await connection.execute(SQL.set, scope, scope_id, name, value, source)


async def begin(connection: Connection, session_id: str, values: Mapping[str, int]) -> None:
    """Give a new session limits of its own."""
    for name, value in values.items():
        await connection.execute(SQL.begin, session_id, name, value)


async def source(connection: Connection, scope: str, scope_id: str, name: str) -> str | None:
    """What set a limit, if that was no person."""
    found: str | None = await connection.fetchval(SQL.source, scope, scope_id, name)
    return found


async def today(connection: Connection) -> date:
    """The day whose tokens are counted, in UTC."""
    found: date = await connection.fetchval(SQL.today)
    return found


async def lock_global(connection: Connection) -> dict[str, Limit]:
    """The global limits by name, which nobody else changes from a configuration until the transaction ends."""
    await connection.execute(SQL.lock_configured)
    return {row["name"]: Limit(row["value"], row["source"]) for row in await connection.fetch(SQL.all_global)}


async def blocking(connection: Connection, project_id: str) -> Blocking | None:
    """The limit that lets no session of a project in now; None: all do."""
    row = await connection.fetchrow(SQL.blocking, project_id)
    if row is None:
        return None
    return Blocking(row["name"], quotas.told_full(row["name"], row["used"], row["value"], row["scope"]))


async def holding(connection: Connection, session_id: str) -> Hold | None:
    """The limit of a session's own that holds it now, until the next day; None: none does."""
    row = await connection.fetchrow(SQL.holding, session_id)
    if row is None:
        return None
    full = quotas.told_full(row["name"], row["used"], row["value"], "session")
    return Hold(
        state=SessionState.LIMITED,
        reason=f"{full}; {goes_on(row['until'].astimezone(UTC))}",
        cause=f"quota/{row['name']}/{row['value']}/{row['until']:%Y-%m-%d}",
        until=row["until"] + RESET_TAKES + staggered(session_id),
    )


async def views(connection: Connection, project: str | None = None) -> list[QuotaView]:
    """Limits of everything and of projects with what is used of them, the global ones first; of one all there are."""
    rows = await connection.fetch(SQL.views, project, list(quotas.NAMES))
    return [QuotaView.model_validate(as_dict(row)) for row in rows]


async def views_of_sessions(
    connection: Connection, project: str | None = None, session_id: str | None = None
) -> list[QuotaView]:
    """Limits of live sessions: those that are set, or of the session that is named all there are."""
    rows = await connection.fetch(SQL.views_of_sessions, project, session_id, list(quotas.OF_SESSIONS))
    return [QuotaView.model_validate(as_dict(row)) for row in rows]
