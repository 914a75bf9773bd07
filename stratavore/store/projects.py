"""Projects: named directories with defaults."""

from typing import NamedTuple
from uuid import uuid4

from stratavore.launch_options import LaunchOptions
from stratavore.models.views import ProjectDetails, ProjectResourcesView, ProjectView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


class Files(NamedTuple):
    """What a host keeps files of: ids of sessions and of runners."""

    sessions: tuple[str, ...]
    runners: tuple[str, ...]


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
        options.host,
        options.failover,
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


async def details(connection: Connection, name: str) -> ProjectDetails | None:
    """The project of that name, with all that was done in it."""
    row = await connection.fetchrow(SQL.details, name)
    return ProjectDetails.model_validate(as_dict(row)) if row else None


async def lock(connection: Connection, project_id: str) -> bool:
    """Let the transaction be the only one that changes a project and its sessions. Returns False if there is none.

    First the sessions, in the order in which everybody locks them; then the project, so that no new one is opened
    in it. What is true then is read in a later statement.
    """
    await connection.execute(SQL.lock_sessions, project_id)
    return await connection.fetchval(SQL.lock, project_id) is not None


async def files(connection: Connection, project_id: str, host: str) -> Files:
    """Whose files a host keeps."""
    rows = await connection.fetch(SQL.files, project_id, host)
    return Files(
        sessions=tuple({row["session_id"] for row in rows}),
        runners=tuple(row["runner_id"] for row in rows if row["runner_id"]),
    )


async def delete(connection: Connection, project_id: str) -> None:
    """Delete a project with all that was done in it, but for the record of events."""
    await connection.execute(SQL.delete, project_id)


async def resources(connection: Connection) -> list[ProjectResourcesView]:
    """What the runners of each project use, the most memory first; those without runners are left out."""
    return [ProjectResourcesView.model_validate(as_dict(row)) for row in await connection.fetch(SQL.resources)]
