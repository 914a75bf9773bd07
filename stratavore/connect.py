"""Connections to Temporal and Postgres, with one sentence when a server is away or refuses."""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import asyncpg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from stratavore.addresses import shown
from stratavore.errors import (
    DatabaseMissing,
    DiskFull,
    InvalidInput,
    RightsMissing,
    ServerAway,
    ServerFailed,
    StratavoreError,
)
from stratavore.store.connection import AWAY
from stratavore.store.database import Database
from stratavore.tls import trouble

if TYPE_CHECKING:
    from stratavore.config.settings import TemporalSettings

CONNECT_SECONDS = 10.0
"""A server that is stopped takes a connection and says nothing."""
HINT = "Check that it runs, and its address; embedded servers are started with: stratavore daemon start"
_BROKE_OFF = "call error after connection"
"""Temporal's SDK: somebody took the connection, and then it broke."""
POSTGRES_ERRORS = (ValueError, *AWAY)
"""What connecting to Postgres raises; a DSN with wrong words is a ``ValueError``."""


async def temporal(address: str, settings: "TemporalSettings") -> Client:
    """A client of the namespace that the settings name.

    Args:
        address: host and port; those of the settings, or of the embedded server.
        settings: namespace, TLS and API key.

    Raises:
        ServerAway: nobody answers at the address, or TLS fails; says what to check.
        RightsMissing: it does not take the API key.
        InvalidInput: a file of the settings cannot be read.
    """
    tls = _temporal_tls(settings) if settings.uses_tls else False
    key = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await Client.connect(
                address, namespace=settings.namespace, data_converter=pydantic_data_converter, tls=tls, api_key=key
            )
    except (RuntimeError, RPCError, TimeoutError) as error:
        raise _temporal_refusal(error, address, settings) from error


async def database(dsn: str, signing_key: bytes, *, connections: int = 12) -> Database:
    """A pool of connections to Postgres.

    Raises:
        ServerAway, RightsMissing, DatabaseMissing, InvalidInput: see :func:`postgres_refusal`.
    """
    try:
        return await Database.open(dsn, signing_key, connections=connections)
    except POSTGRES_ERRORS as error:
        raise postgres_refusal(error, dsn) from error


def postgres_refusal(error: Exception, dsn: str) -> StratavoreError:
    """Why there is no connection to Postgres, and what to check; never with the password.

    Args:
        error: what connecting raised.
        dsn: where to.
    """
    address, reason = shown(dsn), _first_line(error)
    if isinstance(error, OSError) and (wrong := trouble(error)) is not None:
        hint = "See sslmode and sslrootcert in postgres.dsn, and 'TLS' in docs/deployment.md"
        return ServerAway(server="Postgres", address=address, reason=wrong, hint=hint)
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():  # wrong passwords among them
            hint = "Check user, password and sslcert in postgres.dsn, and the server's pg_hba.conf"
            return RightsMissing(server="Postgres", address=address, role=role_name(dsn), reason=reason, hint=hint)
        case asyncpg.InvalidCatalogNameError():
            return DatabaseMissing(database=database_name(dsn), address=address)
        case asyncpg.InsufficientPrivilegeError():
            hint = "Let an administrator GRANT CONNECT ON DATABASE; see 'Rights' in docs/deployment.md"
            return RightsMissing(server="Postgres", address=address, role=role_name(dsn), reason=reason, hint=hint)
        case asyncpg.ConnectionDoesNotExistError():
            hint = (
                "Check that it runs; if it asks for a client certificate, see sslcert under 'TLS' in docs/deployment.md"
            )
            return ServerAway(server="Postgres", address=address, reason="it ended the connection at once", hint=hint)
        case FileNotFoundError() | PermissionError() if "sslmode" in dsn:
            files = "sslrootcert, sslcert or sslkey"
            return InvalidInput(reason=f"A file that {files} names in postgres.dsn cannot be read: {error.strerror}")
        case asyncpg.InterfaceError() | asyncpg.UndefinedObjectError() | ValueError():
            return InvalidInput(reason=f"The setting postgres.dsn is wrong: {reason}")
    return ServerAway(server="Postgres", address=address, reason=reason or "no answer", hint=HINT)


def failure(error: Exception) -> StratavoreError | None:
    """What a server's failure in the middle of a call is to a person; None if the error is none of a server."""
    match error:
        case RPCError():
            return ServerFailed(server="Temporal", reason=error.message)
        case asyncpg.DiskFullError():
            return DiskFull(path="Postgres")
        case _ if isinstance(error, AWAY):
            return ServerFailed(server="Postgres", reason=_first_line(error) or "no answer in time")
        case _:
            return None


def _temporal_tls(settings: "TemporalSettings") -> TLSConfig:
    """What the SDK needs; it takes contents, not paths."""
    contents = {}
    for name, path in (("ca", settings.ca), ("cert", settings.cert), ("key", settings.key)):
        try:
            contents[name] = path.read_bytes() if path else None
        except OSError as error:
            reason = f"The file {path}, which temporal.{name} names, cannot be read: {error.strerror}"
            raise InvalidInput(reason=reason) from error
    return TLSConfig(
        server_root_ca_cert=contents["ca"],
        client_cert=contents["cert"],
        client_private_key=contents["key"],
        domain=settings.server_name,
    )


def _temporal_refusal(error: Exception, address: str, settings: "TemporalSettings") -> StratavoreError:
    text = str(error)
    if any(word in text for word in ("Unauthenticated", "PermissionDenied")) or (
        isinstance(error, RPCError) and error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
    ):
        role = "this API key" if settings.api_key else "a client without an API key"
        hint = "Check temporal.api_key, and the rights that it has in the namespace"
        return RightsMissing(server="Temporal", address=address, role=role, reason="it was refused", hint=hint)
    if (wrong := trouble(error)) is not None:
        hint = "See temporal.ca, cert, key and server_name, and 'TLS' in docs/deployment.md"
        return ServerAway(server="Temporal", address=address, reason=wrong, hint=hint)
    if _BROKE_OFF in text and "transport::Error" in text:
        reason = "it ended the connection at once"
        hint = (
            "Check that it runs; if it asks for a client certificate, see temporal.cert and key in docs/deployment.md"
            if settings.uses_tls
            else "Check that it runs; if it speaks TLS, set temporal.tls or temporal.ca"
        )
        return ServerAway(server="Temporal", address=address, reason=reason, hint=hint)
    return ServerAway(server="Temporal", address=address, reason="it does not answer", hint=HINT)


def _first_line(error: Exception) -> str:
    """What it says, without details that would follow on further lines."""
    if isinstance(error, ConnectionError) and "connection_lost()" in str(error):
        return "the connection was lost"  # in the driver's own words it is an unexpected call
    return str(error).partition("\n")[0].rstrip(".")


def role_name(dsn: str) -> str:
    """The user that a DSN names."""
    return unquote(urlsplit(dsn).username or "") or "our user"


def database_name(dsn: str) -> str:
    """The database that a DSN names."""
    return unquote(urlsplit(dsn).path.lstrip("/")) or role_name(dsn)
