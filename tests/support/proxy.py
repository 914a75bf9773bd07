"""A way to a server that can be cut: connections made through it break at a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from yarl import URL


class Proxy:
    """Passes bytes on between its own port and a server's."""

    def __init__(self, to: URL) -> None:
        self._to = to
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.cuts = 0
        """How many connections were cut."""

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str | None) -> "AsyncIterator[Proxy]":
        """A proxy before the server that a URL names."""
        proxy = cls(URL(url or ""))
        server = await asyncio.start_server(proxy._pass, "127.0.0.1", 0)
        proxy._port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut()

    @property
    def url(self) -> str:
        """The URL of the server, by way of the proxy."""
        return str(self._to.with_host("127.0.0.1").with_port(self._port))

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()
            self.cuts += 1
        self._writers.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._to.host, self._to.port)
        self._writers.add(writer)
        try:
            await asyncio.gather(copy(reader, back), copy(there, writer))
        finally:
            self._writers.discard(writer)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, to its end."""
    with suppress(OSError):
        while piece := await reader.read(64 * 1024):
            writer.write(piece)
            await writer.drain()
    writer.close()
