"""Hosts: their leases, what is told of one that is away or back, and who may be placed on them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from stratavore.models.base import Model
from stratavore.models.views import HostView, MachineView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


@dataclass(frozen=True)
class Absence:
    """That a host is not heard of. ``since`` tells this absence from another one of the same host."""

    host: str
    since: datetime


@dataclass(frozen=True)
class Renewal:
    """That a lease was renewed."""

    lapsed: bool
    """It had run out before, or there was none."""
    away_since: datetime | None
    """When it ran out the last time, until the host's runners are found: told again, should an answer be lost."""


class Dependent(Model):
    """A session whose current runner is on a host and has no recorded end."""

    session_id: str
    runner_id: str
    generation: int
    project: str
    launched: bool
    """Its process was shown as running."""


async def renew(
    connection: Connection,
    host: str,
    daemon_id: UUID,
    *,
    state_directory: UUID,
    version: str,
    boot_id: str,
    lease_seconds: float,
    machine: MachineView | None = None,
) -> Renewal | None:
    """Say that the host lives, for ``lease_seconds`` more by the clock of Postgres, and what its machine has.

    Returns None, and changes nothing, if the daemon of another state directory has said so and its lease is good.
    """
    measured: dict[str, Any] | None = machine.model_dump(mode="json") if machine else None
    row = await connection.fetchrow(
        SQL.renew, host, daemon_id, state_directory, version, boot_id, measured, lease_seconds
    )
    return Renewal(lapsed=row["lapsed"], away_since=row["away_since"]) if row else None


class Holder(Model):
    """Who has a host's name: the daemon that renewed its lease last. Seconds are by the clock of Postgres."""

    state_directory: UUID
    boot_id: str
    version: str
    renewed_s: float
    """Since it renewed the lease."""
    left_s: float
    """Until it runs out; negative: it has."""


async def holder(connection: Connection, host: str) -> Holder | None:
    """Who has a host's name; None: nobody ever had it."""
    row = await connection.fetchrow(SQL.holder, host)
    return Holder.model_validate(as_dict(row)) if row else None


async def is_served_by(connection: Connection, host: str, daemon_id: UUID) -> bool:
    """Whether it was this daemon that renewed the host's lease last. Another one may have its name by now."""
    served: bool = await connection.fetchval(SQL.is_served_by, host, daemon_id)
    return served


async def lost(connection: Connection) -> Absence | None:
    """A host whose lease ran out since it was last asked, marked as away; None if there is none. Anybody may ask."""
    row = await connection.fetchrow(SQL.lost)
    return Absence(row["name"], row["away_since"]) if row else None


async def found_again(connection: Connection, host: str, daemon_id: UUID) -> Absence | None:
    """The absence of a host that its own daemon can end now, locked; None if there is none."""
    since = await connection.fetchval(SQL.found_again, host, daemon_id)
    return Absence(host, since) if since else None


async def end_absence(connection: Connection, host: str) -> None:
    """The host's sessions are what they were."""
    await connection.execute(SQL.end_absence, host)


async def dependents(connection: Connection, host: str) -> list[Dependent]:
    """The sessions that stand and fall with a host."""
    return [Dependent.model_validate(as_dict(row)) for row in await connection.fetch(SQL.sessions, host)]


async def lapsed(connection: Connection, but: str) -> dict[str, datetime]:
    """The hosts, ``but`` one, whose lease is over, with the time when it ended."""
    return {row["name"]: row["lease_expires_at"] for row in await connection.fetch(SQL.lapsed, but)}


async def failing_over(connection: Connection, absence: Absence, to: str, *, most: int) -> list[Dependent]:
    """Sessions of a lost host that are to go on elsewhere, if the host ``to`` takes runners.

    None once the lost one has renewed its lease.
    """
    rows = await connection.fetch(SQL.failing_over, absence.host, absence.since, to, most)
    return [Dependent.model_validate(as_dict(row)) for row in rows]


async def claim(connection: Connection, absence: Absence, one: Dependent, to: str) -> bool:
    """Let a session of a lost host go on on another one. Returns False if that is not to be any more."""
    return await connection.fetchval(SQL.claim, one.runner_id, absence.since, to) is not None


async def waiting(connection: Connection) -> list[str]:
    """Sessions that hold a slot and have no runner, because no host was there for them or one is just chosen."""
    return [row["session_id"] for row in await connection.fetch(SQL.waiting)]


async def why_none(connection: Connection, session_id: str) -> str:
    """Why no host takes the next runner of a session, in one clause."""
    why: str = await connection.fetchval(SQL.none_open, session_id)
    return why


async def views(connection: Connection, host: str | None = None) -> list[HostView]:
    """All hosts or the one that is named, with what their runners use."""
    return [HostView.model_validate(as_dict(row)) for row in await connection.fetch(SQL.views, host)]


async def drain(connection: Connection, host: str, *, draining: bool) -> bool:
    """Let no runner be placed on a host from now on, or let it again. Returns False if there is no such host."""
    return await connection.fetchval(SQL.drain, host, draining) is not None


async def delete(connection: Connection, host: str) -> bool:
    """Forget a host. Returns False if it is not there, is up, or has runners without a recorded end."""
    return await connection.fetchval(SQL.delete, host) is not None
