"""Projects: named directories with defaults."""

from uuid import uuid4

from stratavore.launch_options import LaunchOptions
from stratavore.models.views import ProjectView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


async def create(
    connection: Connection, name: str, path: str, agent: str, options: LaunchOptions
) -> ProjectView | None:
    """Create a project; None if the name is taken."""
    made = await connection.fetchval(
        SQL.create,
        uuid4(),
        name,
        path,
        agent,
        list(options.argv or ()),
        options.model,
        options.permission_mode,
        list(options.directories or ()),
        list(options.mcp_config or ()),
    )
    if made is None:
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
