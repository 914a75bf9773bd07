"""Hosts and their leases."""

from uuid import UUID

from stratavore.models.views import HostView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


async def renew(
    connection: Connection,
    host: str,
    daemon_id: UUID,
    *,
    state_directory: UUID,
    version: str,
    boot_id: str,
    lease_seconds: float,
) -> bool:
    """Say that the host lives, for ``lease_seconds`` more by the clock of Postgres.

    Returns False, and changes nothing, if the daemon of another state directory has said so and its lease is good.
    """
    renewed = await connection.fetchval(SQL.renew, host, daemon_id, state_directory, version, boot_id, lease_seconds)
    return renewed is not None


async def views(connection: Connection) -> list[HostView]:
    """All hosts, with what their runners use."""
    return [HostView.model_validate(as_dict(row)) for row in await connection.fetch(SQL.views)]
