"""What Postgres tells of the system's health."""

from datetime import datetime

from stratavore.models.base import Model
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


class DatabaseFacts(Model):
    """The database itself."""

    at: datetime
    """By its clock."""
    bytes: int
    version: str
    schema_version: str


class Versions(Model):
    """Of the server and of its extension; None: the extension is not there."""

    postgres: str
    pgvector: str | None


class OutboxFacts(Model):
    """Events on their way. ``oldest_s``: seconds since the oldest that waits happened; None if none waits."""

    waiting: int
    dead: int
    oldest_s: float | None


async def database(connection: Connection) -> DatabaseFacts:
    """What it says of itself."""
    row = await connection.fetchrow(SQL.database)
    assert row is not None
    return DatabaseFacts.model_validate(as_dict(row) | {"schema_version": row["schema"]})


async def versions(connection: Connection) -> Versions:
    """What it is."""
    row = await connection.fetchrow(SQL.versions)
    assert row is not None
    return Versions.model_validate(as_dict(row))


async def outbox(connection: Connection) -> OutboxFacts:
    """How many events wait for the broker, or were refused by it."""
    row = await connection.fetchrow(SQL.outbox)
    assert row is not None
    return OutboxFacts.model_validate(as_dict(row))


async def agents(connection: Connection) -> list[str]:
    """The agents that projects launch."""
    return [row["agent"] for row in await connection.fetch(SQL.agents)]
