"""A way to a server that can be cut: connections made through it break at a word."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from yarl import URL


class Proxy:
    """Passes bytes on between its own port and a server's."""

    def __init__(self, to: Callable[[], URL]) -> None:
        self._to = to
        """Asked for each connection: a server that comes back may have another port."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._backs: set[asyncio.StreamWriter] = set()
        self._silent: list[asyncio.Event] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._port = 0
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self.cuts = 0
        """How many connections were cut."""
        self.is_open = True
        """Whether it takes new connections."""

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str | Callable[[], str] | None) -> "AsyncIterator[Proxy]":
        """A proxy before the server that a URL names."""
        proxy = cls(lambda: URL((url() if callable(url) else url) or ""))
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy._port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut()
            for held in (proxy._goes_on, *proxy._silent):
                held.set()
            await asyncio.gather(*proxy._passing)

    @property
    def url(self) -> str:
        """The URL of the server, by way of the proxy."""
        return str(self._to().with_host("127.0.0.1").with_port(self._port))

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()
            self.cuts += 1
        self._writers.clear()

    def hold(self) -> None:
        """Pass on nothing more."""
        self._goes_on.clear()

    def go_on(self) -> None:
        """Pass on what was held."""
        self._goes_on.set()

    def lose(self) -> None:
        """As :meth:`hold`, but what is connected now stays silent for ever, and the server has noticed.

        So does a router that forgets its connections, or a machine that is gone without a word.
        """
        self._goes_on.clear()
        self._silent.append(self._goes_on)
        self._goes_on = asyncio.Event()
        for back in self._backs:
            back.transport.abort()
        self._backs.clear()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = self._to()
        try:
            if not self.is_open:
                raise ConnectionRefusedError
            there, back = await asyncio.open_connection(to.host, to.port)
        except OSError:  # the server is away: so is its proxy
            writer.transport.abort()
            return
        self._writers.add(writer)
        self._backs.add(back)
        try:
            await asyncio.gather(copy(reader, back, self._goes_on), copy(there, writer, self._goes_on))
        finally:
            self._writers.discard(writer)
            self._backs.discard(back)


async def copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, goes_on: asyncio.Event | None = None
) -> None:
    """Pass on what comes, to its end; only while ``goes_on`` is set, if it is given."""
    with suppress(OSError):
        while piece := await reader.read(64 * 1024):
            if goes_on:
                await goes_on.wait()
            writer.write(piece)
            await writer.drain()
    if goes_on:
        await goes_on.wait()  # who hears nothing does not hear of the end either
    writer.close()
