"""Limits: rows with a scope."""

from datetime import date
from typing import NamedTuple

from stratavore import quotas
from stratavore.models.views import QuotaView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


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
    connection: Connection, project_id: str | None, name: str, value: int | None, source: str | None = None
) -> None:
    """Set a limit of a project (None: the global one), or take it away (``value`` None).

    ``source`` is what sets it, if no person does.
    """
    scope, scope_id = _scope(project_id)
    if value is None:
        await connection.execute(SQL.unset, scope, scope_id, name)
    else:
        await connection.execute(SQL.set, scope, scope_id, name, value, source)


async def source(connection: Connection, project_id: str | None, name: str) -> str | None:
    """What set a limit, if that was no person."""
    found: str | None = await connection.fetchval(SQL.source, *_scope(project_id), name)
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


async def views(connection: Connection, project: str | None = None) -> list[QuotaView]:
    """Limits with what is used of them, the global ones first."""
    rows = await connection.fetch(SQL.views, project, list(quotas.NAMES))
    return [QuotaView.model_validate(as_dict(row)) for row in rows]


def _scope(project_id: str | None) -> tuple[str, str]:
    return ("project", project_id) if project_id else ("global", "")
