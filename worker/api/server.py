"""The private API on a unix socket: one line of JSON asks, lines of JSON answer."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

from stratavore import __version__, connect
from stratavore.errors import StratavoreError, UnknownCall
from stratavore.models.base import as_json
from stratavore.operators import user_name

log = logging.getLogger(__name__)

LONGEST_LINE = 4 * 1024 * 1024

_UCRED = struct.Struct("iII")
"""The kernel's ``struct ucred``: process, user, group."""

Method = Callable[..., Any]


class ApiServer:
    """Answers calls with the methods it is given. A method returns a result, or an async iterator of items."""

    def __init__(self, path: Path, methods: Mapping[str, Method]) -> None:
        self._path = path
        self._methods = methods
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen. A socket that a dead daemon left is replaced; the daemon's lock says that it is dead."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path=self._path, limit=LONGEST_LINE)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and end the calls that are under way."""
        if self._server:
            self._server.close()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        with suppress(OSError):  # the next daemon replaces it; the state directory may be gone
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away; what it asked for is done or will be
        finally:
            self._calls.discard(call)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if not line:
                return
            result = await self._call(line, writer)
            if isinstance(result, AsyncIterator):
                await self._stream(result, reader, writer)
                return
            answer = {"result": result}
        except StratavoreError as error:
            answer = {"error": error.to_wire()}
        except Exception as error:
            answer = {"error": _told(error).to_wire()}
        await _write(writer, answer)

    async def _call(self, line: bytes, writer: asyncio.StreamWriter) -> Any:
        name = ""
        try:
            asked = json.loads(line)
            name, params = asked["method"], dict(asked.get("params") or {})
            method = self._methods[name]
            signature(method).bind(**params)
        except (ValueError, KeyError, TypeError) as error:
            raise UnknownCall(call=name, version=__version__) from error
        if isinstance(god := params.get("god"), dict):
            uid = _caller(writer)
            params["god"] = {**god, "uid": uid, "user": user_name(uid)}
        result = method(**params)
        if isinstance(result, AsyncIterator):
            return result
        return as_json(await result)

    async def _stream(
        self, items: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send items until they end or the client closes."""

        async def send() -> None:
            async for item in items:
                await _write(writer, {"item": as_json(item)})

        sending = asyncio.create_task(send())
        closed = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({sending, closed}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            closed.cancel()
            await asyncio.gather(sending, closed, return_exceptions=True)


async def _write(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps({**answer, "version": __version__}).encode() + b"\n")
    await writer.drain()


def _caller(writer: asyncio.StreamWriter) -> int:
    """The user that called, by the kernel's word."""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(peer)
    return int(uid)


def _told(error: Exception) -> StratavoreError:
    """An error that is no sentence yet, as one."""
    if failure := connect.failure(error):
        return failure
    log.exception("a call failed in a way nobody thought of")
    return StratavoreError(reason=f"{type(error).__name__}: {error}; the daemon's log has more")
