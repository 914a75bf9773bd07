"""Limits: rows with a scope."""

from stratavore.models.views import QuotaView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

NAMES = ("max_concurrent_runners",)
"""Limits that can be set."""


async def set_limit(connection: Connection, project_id: str | None, name: str, value: int | None) -> None:
    """Set a limit of a project (None: the global one), or take it away (``value`` None)."""
    scope, scope_id = ("project", project_id) if project_id else ("global", "")
    if value is None:
        await connection.execute(SQL.unset, scope, scope_id, name)
    else:
        await connection.execute(SQL.set, scope, scope_id, name, value)


async def views(connection: Connection, project: str | None = None) -> list[QuotaView]:
    """Limits with what is used of them, the global one first."""
    return [QuotaView.model_validate(as_dict(row)) for row in await connection.fetch(SQL.views, project)]
