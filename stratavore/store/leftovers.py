"""What nobody needs any more, and what proves it."""

from collections.abc import Iterable
from datetime import timedelta

from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)

AT_ONCE = 10_000
"""Marks of deliveries that are deleted together: a fraction of a second."""


async def runs(connection: Connection, runner_ids: Iterable[str], host: str, kept: timedelta) -> list[str]:
    """Of these runners of a host, those whose run directories have been kept long enough."""
    return [row["runner_id"] for row in await connection.fetch(SQL.runs, list(runner_ids), host, kept)]


async def deleted_projects(connection: Connection, project_ids: Iterable[str]) -> set[str]:
    """Of these projects, those that somebody deleted: the record says so, which a restored backup would not."""
    return {row["project_id"] for row in await connection.fetch(SQL.deleted_projects, list(project_ids))}


async def unknown_sessions(connection: Connection, session_ids: Iterable[str]) -> set[str]:
    """Of these sessions, those without a row, which alone proves nothing."""
    return {row["session_id"] for row in await connection.fetch(SQL.unknown_sessions, list(session_ids))}


async def forget_delivered(connection: Connection, kept: timedelta) -> int:
    """Delete marks of events that were delivered so long ago; not the events. Returns how many."""
    forgotten = 0
    while True:
        done = int((await connection.execute(SQL.delivered, kept, AT_ONCE)).split()[-1])
        forgotten += done
        if done < AT_ONCE:
            return forgotten


async def lost_hosts(connection: Connection, after: timedelta) -> list[str]:
    """Hosts whose lease ran out so long ago."""
    return [row["name"] for row in await connection.fetch(SQL.lost_hosts, after)]
