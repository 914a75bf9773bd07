"""A connection to Postgres: how each is made, and as every statement of this program is given one.

TLS is told by libpq's words in the DSN (``sslmode``, ``sslrootcert``, ``sslcert``, ``sslkey``), which the driver reads.
"""

import json
from typing import Any, TypeAlias

import asyncpg

AWAY = (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a server that is away, or goes away in the middle, makes of a call; the driver's confusion over that, too."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 30.0
_SERVER_SETTINGS = {
    "application_name": "stratavore",
    # A machine that vanished without a word must not keep its locks for hours: found out by asking it while the
    # connection rests, and by what it does not confirm while there is something under way to it.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
IDLE_SECONDS = 30.0
"""So long a transaction may be left alone: whoever is frozen in the middle of one must not hold up all others."""


def arguments(*, patience: float | None = COMMAND_SECONDS) -> dict[str, Any]:
    """What every connection is made with, besides the DSN.

    Args:
        patience: seconds that a statement may take; None for no limit, and a transaction may be left alone as well.
    """
    idle = 0 if patience is None else int(IDLE_SECONDS * 1000)
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": patience,
        "server_settings": _SERVER_SETTINGS | {"idle_in_transaction_session_timeout": f"{idle}ms"},
    }


async def connect(
    dsn: str, *, database: str | None = None, patience: float | None = COMMAND_SECONDS
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection outside any pool.

    Args:
        dsn: where to.
        database: another one than the DSN names.
        patience: as for :func:`arguments`.
    """
    return await asyncpg.connect(dsn, database=database, **arguments(patience=patience))


async def use_json(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let JSON columns of a connection be Python values."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
