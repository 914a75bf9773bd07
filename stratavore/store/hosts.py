"""Hosts and their leases."""

from uuid import UUID

from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def renew(
    connection: Connection, host: str, daemon_id: UUID, *, version: str, boot_id: str, lease_seconds: float
) -> None:
    """Say that the host lives, for ``lease_seconds`` more by the clock of Postgres."""
    await connection.execute(SQL.renew, host, daemon_id, version, boot_id, lease_seconds)
