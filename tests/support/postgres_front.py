"""TLS before a Postgres that has none: answers the protocol's SSLRequest, and passes on what comes inside."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.support.proxy import copy

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class PostgresFront:
    """A port of its own, where nobody gets in without TLS."""

    def __init__(self, dsn: str, context: ssl.SSLContext) -> None:
        self._there = urlsplit(dsn)
        self._context = context
        self._port = 0
        self.encrypted = 0
        """Connections that came through."""
        self.plain = 0
        """Connections that did not ask for TLS, and were ended."""

    @classmethod
    @asynccontextmanager
    async def before(cls, dsn: str, context: ssl.SSLContext) -> "AsyncIterator[PostgresFront]":
        """One before the Postgres of a DSN."""
        front = cls(dsn, context)
        server = await asyncio.start_server(front._serve, "localhost", 0)
        front._port = server.sockets[0].getsockname()[1]
        try:
            yield front
        finally:
            server.close()

    def dsn(self, **words: object) -> str:
        """The DSN by way of this front, with libpq's words."""
        place = f"{self._there.netloc.rpartition('@')[0]}@localhost:{self._port}"
        query = "&".join(f"{name}={value}" for name, value in words.items())
        return self._there._replace(netloc=place, query=query).geturl()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
                self.plain += 1
                return
            writer.write(b"S")
            await writer.start_tls(self._context)
            self.encrypted += 1
            there, back = await asyncio.open_connection(self._there.hostname, self._there.port)
            await asyncio.gather(copy(reader, back), copy(there, writer))
        except (OSError, EOFError):
            pass  # a client that does not like our certificate, or we its
        finally:
            writer.close()
