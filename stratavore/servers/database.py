"""Prepare the database: it is there, has pgvector, and this version's schema. Repeating it changes nothing."""

import asyncpg

from stratavore import connect
from stratavore.addresses import shown
from stratavore.errors import RightsMissing
from stratavore.servers.steps import State, Step
from stratavore.store import connection as store
from stratavore.store.migrate import EXTENSION, HEAD, Found, examine, migrate

SERVER = "database"
_MAINTENANCE = "postgres"
"""The database that one connects to in order to make another."""


async def prepare(dsn: str, *, change: bool = True) -> list[Step]:
    """Make the database usable.

    Args:
        dsn: of the database; its role needs rights for that only which is missing.
        change: False: look only.

    Raises:
        StratavoreError: it cannot be; says the way out.
    """
    found = await _look(dsn)
    there = found is not None
    if not there and not change:
        missing = ("database", f"extension {EXTENSION}", "schema")
        return [Step(SERVER, what, State.TO_MAKE) for what in missing]
    if not there:
        await _create(dsn)
        found = await _look(dsn)
    assert found is not None
    migrated = change and await migrate(dsn)
    return [
        Step(SERVER, "database", State.FOUND if there else State.MADE, f"{found.database}, Postgres {found.version}"),
        Step(SERVER, f"extension {EXTENSION}", _state(found.extension, made=migrated)),
        Step(SERVER, "schema", _state(found.schema == HEAD, made=migrated), _schema(found)),
    ]


def _state(there: bool, *, made: bool) -> State:
    if there:
        return State.FOUND
    return State.MADE if made else State.TO_MAKE


def _schema(found: Found) -> str:
    return HEAD if found.schema in (None, HEAD) else f"{found.schema} → {HEAD}"


async def _look(dsn: str) -> Found | None:
    """What the database is; None: there is none of that name."""
    try:
        connection = await store.connect(dsn)
    except asyncpg.InvalidCatalogNameError:
        return None
    except connect.POSTGRES_ERRORS as error:
        raise connect.postgres_refusal(error, dsn) from error
    try:
        return await examine(connection, dsn)
    finally:
        await connection.close()


async def _create(dsn: str) -> None:
    name = connect.database_name(dsn)
    try:
        connection = await store.connect(dsn, database=_MAINTENANCE, patience=None)
    except connect.POSTGRES_ERRORS as error:
        raise connect.postgres_refusal(error, dsn) from error
    try:
        await connection.execute('CREATE DATABASE "{}"'.format(name.replace('"', '""')))
    except asyncpg.DuplicateDatabaseError:
        pass  # another setup was faster
    except asyncpg.InsufficientPrivilegeError as error:
        role = connect.role_name(dsn)
        hint = f'Let an administrator run: createdb --owner "{role}" "{name}"'
        reason = f"the database {name} is missing, and may not be created"
        raise RightsMissing(server="Postgres", address=shown(dsn), role=role, reason=reason, hint=hint) from error
    finally:
        await connection.close()
