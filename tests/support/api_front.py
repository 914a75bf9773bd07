"""A socket in front of a daemon's, that lets it do what it is asked and then kills it before it can say so."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from stratavore.paths import Home


@asynccontextmanager
async def killed_after(
    home: Home, method: str, kill: Callable[[], None], state: str | None = None
) -> AsyncIterator[list[str]]:
    """Pass calls on, until the daemon has answered one of ``method``: it is killed, and the answer is lost.

    With ``state`` it is the first answer that is a session in that state. Gives the methods that were called.
    """
    behind = home.api_socket.with_name("behind")
    called: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        called.append(json.loads(line)["method"])
        of_daemon, to_daemon = await asyncio.open_unix_connection(behind, limit=2**24)
        to_daemon.write(line)
        answer = await of_daemon.readline()
        to_daemon.close()
        if called[-1] == method and (state is None or _state(answer) == state):
            server.close()
            home.api_socket.unlink()
            kill()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    home.api_socket.rename(behind)
    server = await asyncio.start_unix_server(serve, path=home.api_socket, limit=2**24)
    try:
        yield called
    finally:
        server.close()
        behind.unlink(missing_ok=True)


def _state(answer: bytes) -> str | None:
    """Of the session that is told; None if nobody knows it yet."""
    session = json.loads(answer)["result"]
    return session["state"] if session else None
