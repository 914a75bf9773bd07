"""Where sessions can move to."""

from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def destinations(connection: Connection) -> dict[str, int]:
    """Hosts that take runners, each with how many it has; the least loaded first."""
    return {row["name"]: row["runners"] for row in await connection.fetch(SQL.destinations)}
