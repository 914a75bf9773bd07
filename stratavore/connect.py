"""Connections to Temporal and Postgres, with one sentence when a server is away."""

import asyncio

import asyncpg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from stratavore.errors import DiskFull, ServerAway, ServerFailed, StratavoreError
from stratavore.store.database import Database

CONNECT_SECONDS = 10.0
"""A server that is stopped takes a connection and says nothing."""
HINT = "Start everything with: stratavore daemon start"


async def temporal(address: str, namespace: str) -> Client:
    """A client of the namespace.

    Raises:
        ServerAway: nobody answers at the address.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await Client.connect(address, namespace=namespace, data_converter=pydantic_data_converter)
    except (RuntimeError, RPCError, TimeoutError) as error:
        raise ServerAway(server="Temporal", address=address, reason="it does not answer", hint=HINT) from error


async def database(dsn: str, signing_key: bytes, *, connections: int = 12) -> Database:
    """A pool of connections to Postgres.

    Raises:
        ServerAway: nobody answers, or Postgres refuses.
    """
    try:
        return await Database.open(dsn, signing_key, connections=connections)
    except (TimeoutError, OSError, asyncpg.PostgresError) as error:
        address = dsn.rpartition("@")[2]
        raise ServerAway(server="Postgres", address=address, reason=str(error) or "no answer", hint=HINT) from error


def failure(error: Exception) -> StratavoreError | None:
    """What a server's failure in the middle of a call is to a person; None if the error is none of a server."""
    match error:
        case RPCError():
            return ServerFailed(server="Temporal", reason=error.message)
        case asyncpg.DiskFullError():
            return DiskFull(path="Postgres")
        case asyncpg.PostgresError() | asyncpg.InterfaceError() | OSError() | TimeoutError():
            return ServerFailed(server="Postgres", reason=str(error) or "no answer in time")
        case _:
            return None
