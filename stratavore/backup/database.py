"""The database that is saved or filled: a connection with as much time as it takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stratavore.backup.tables import Connection
from stratavore.config.settings import Settings
from stratavore.connect import POSTGRES_ERRORS, failure, postgres_refusal
from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import DaemonAway
from stratavore.paths import Home
from stratavore.store.connection import connect


def dsn_of(home: Home, settings: Settings) -> str:
    """Where the database of a state directory is: as configured, or where the last daemon started it.

    Raises:
        DaemonAway: nothing is configured, and no daemon ever ran.
    """
    if settings.postgres.dsn:
        return settings.postgres.dsn.get_secret_value()
    stack = EmbeddedStack.recorded(home)
    if stack is None:
        raise DaemonAway()
    return stack.postgres_dsn


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """A connection whose failures are sentences.

    Raises:
        ServerAway, RightsMissing, DatabaseMissing, DiskFull: it cannot be reached, or failed in the middle.
    """
    try:
        connection = await connect(dsn, patience=None)
    except POSTGRES_ERRORS as error:
        raise postgres_refusal(error, dsn) from error
    try:
        yield connection
    except Exception as error:
        told = None if isinstance(error, OSError) else failure(error)
        if told is None:
            raise
        raise told from error
    finally:
        connection.terminate()
