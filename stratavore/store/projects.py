"""Projects: named directories with defaults."""

from uuid import uuid4

from stratavore.models.views import ProjectView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


async def create(
    connection: Connection, name: str, path: str, agent: str, argv: list[str], model: str | None
) -> ProjectView | None:
    """Create a project; None if the name is taken."""
    if await connection.fetchval(SQL.create, uuid4(), name, path, agent, argv, model) is None:
        return None
    return await by_name(connection, name)


async def by_name(connection: Connection, name: str) -> ProjectView | None:
    """The project of that name."""
    row = await connection.fetchrow(SQL.by_name, name)
    return ProjectView.model_validate(as_dict(row)) if row else None


async def names(connection: Connection) -> list[str]:
    """All names, sorted."""
    return [row["name"] for row in await connection.fetch(SQL.names)]


async def views(connection: Connection) -> list[ProjectView]:
    """All projects, with counts of their sessions."""
    return [ProjectView.model_validate(as_dict(row)) for row in await connection.fetch(SQL.views)]
