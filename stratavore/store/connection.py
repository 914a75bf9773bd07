"""A connection to Postgres, as every statement of this program is given one."""

import json
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


async def use_json(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let JSON columns of a connection be Python values."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
