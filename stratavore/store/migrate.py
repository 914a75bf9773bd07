"""Bring a database to this version's schema: Alembic, with each migration in plain SQL.

The usual case, nothing to do, is told by two queries and imports neither Alembic nor SQLAlchemy (0.4 s).
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from stratavore.addresses import shown
from stratavore.errors import ExtensionMissing, OtherSchema, PostgresTooOld, RightsMissing
from stratavore.killpoints import effect
from stratavore.store.connection import connect
from stratavore.store.queries import load

SQL = load(__file__)

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0012"
OLDEST_POSTGRES = 14
EXTENSION = "vector"

_LOCK = 0x57A7A  # any number that only this program uses for advisory locks of the class "migration"


@dataclass(frozen=True)
class Found:
    """A database as it is."""

    database: str
    role: str
    version: int
    """Of the server: its major number."""
    extension: bool
    """Whether it is installed in this database."""
    schema: str | None
    """The newest migration that was applied; None: none was."""


async def migrate(dsn: str, schema: str | None = None) -> bool:
    """Apply what is missing, under a lock, so that daemons starting together do it once.

    Args:
        dsn: of the database.
        schema: the newest migration that is applied; None: all that this version has.

    Returns:
        Whether anything was applied.

    Raises:
        PostgresTooOld, ExtensionMissing, OtherSchema, RightsMissing: it cannot be; says the way out.
    """
    schema = schema or HEAD
    connection = await connect(dsn, patience=None)
    try:
        if (await examine(connection, dsn)).schema == schema:
            return False
        await connection.execute(SQL.lock, _LOCK)
        found = await examine(connection, dsn)
        if found.schema == schema:
            return False
        try:
            with effect("migrate"):
                await asyncio.to_thread(_upgrade, dsn, schema)
        except Exception as error:
            if (refused := _refusal(error)) is None:
                raise
            raise _rights(found, dsn, refused) from error
        return True
    finally:
        await connection.close()


async def examine(connection: "asyncpg.Connection[asyncpg.Record]", dsn: str) -> Found:
    """Look at a database, and change nothing.

    Args:
        connection: to it.
        dsn: of it, for messages.

    Raises:
        PostgresTooOld: the server is not supported.
        ExtensionMissing: it has no pgvector.
        OtherSchema: another version of this program, or another program, has migrated it.
        RightsMissing: we may not look.
    """
    row = await connection.fetchrow(SQL.examine, EXTENSION)
    assert row is not None
    version = row["version"]
    if version < OLDEST_POSTGRES:
        raise PostgresTooOld(address=shown(dsn), version=version, oldest=OLDEST_POSTGRES)
    if not row["extension"] and not row["available"]:
        raise ExtensionMissing(address=shown(dsn), name=EXTENSION, version=version)
    found = Found(row["database"], row["role"], version, row["extension"], None)
    if not row["prepared"]:
        return found
    try:
        schema: str | None = await connection.fetchval(SQL.schema)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _rights(found, dsn, error) from error
    if schema is not None and schema not in known_schemas():
        raise OtherSchema(database=found.database, address=shown(dsn), found=schema, known=HEAD)
    return Found(found.database, found.role, version, found.extension, schema)


def known_schemas() -> frozenset[str]:
    """The migrations that this version can apply."""
    return frozenset(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.sql"))


def _upgrade(dsn: str, schema: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["dsn"] = dsn
    command.upgrade(config, schema)


def _refusal(error: BaseException | None) -> asyncpg.InsufficientPrivilegeError | None:
    """That Postgres did not allow it, also as SQLAlchemy tells it."""
    while error is not None and not isinstance(error, asyncpg.InsufficientPrivilegeError):
        error = error.__cause__
    return error


def _rights(found: Found, dsn: str, error: asyncpg.InsufficientPrivilegeError) -> RightsMissing:
    hint = (
        f"Let an administrator run in that database: CREATE EXTENSION {EXTENSION}"
        if "extension" in str(error)
        else "Let the database's owner run: stratavore setup; see 'Rights' in docs/deployment.md"
    )
    reason = str(error).partition("\n")[0]  # without Postgres' own hint
    return RightsMissing(server="Postgres", address=shown(dsn), role=found.role, reason=reason, hint=hint)
