"""Bring a database to this version's schema: Alembic, with each migration in plain SQL.

The usual case, nothing to do, is told by one query and imports neither Alembic nor SQLAlchemy (0.4 s).
"""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from stratavore.killpoints import effect

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0002"

_LOCK = 0x57A7A  # any number that only this program uses for advisory locks of the class "migration"


async def migrate(dsn: str) -> bool:
    """Apply what is missing, under a lock, so that daemons starting together do it once.

    Returns:
        Whether anything was applied.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if await _version(connection) == HEAD:
            return False
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        if await _version(connection) == HEAD:
            return False
        with effect("migrate"):
            await asyncio.to_thread(_upgrade, dsn)
        return True
    finally:
        await connection.close()


async def _version(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return version


def _upgrade(dsn: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = urlsplit(dsn)._replace(scheme="postgresql+asyncpg").geturl()
    command.upgrade(config, "head")
