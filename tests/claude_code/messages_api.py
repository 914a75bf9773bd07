"""A Messages API on the loopback that answers what a test wrote down, and keeps the account of what it sent."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.claude_code.messages import Answer, Asked, Failure, Gate, Kind, Reply, say
from tests.support.waiting import PATIENCE_SECONDS

Script = Callable[[Asked], Answer]
Given = Script | Iterable[Answer]


@dataclass
class Sent:
    """An answer. ``finished``: it was sent to its end, so its tokens are the account's."""

    asked: Asked
    answer: Answer
    finished: bool = False
    ended_at: float | None = None
    """Unix time at which it was sent whole, or the client had left."""


class MessagesApi:
    """What was asked, and what was sent. Made by ``serve``."""

    def __init__(self, script: Given) -> None:
        self._script = script if callable(script) else _in_turn(script)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.sent: list[Sent] = []
        self.noticed = asyncio.Condition()
        """Told whenever an answer begins or ends."""

    @property
    def url(self) -> str:
        """For ``ANTHROPIC_BASE_URL``."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def asked(self, *kinds: Kind) -> list[Asked]:
        """The requests of these kinds; of all if none is named."""
        return [one.asked for one in self.sent if not kinds or one.asked.kind in kinds]

    def ledger(self) -> list[dict[str, Any]]:
        """What was sent, as JSON values: message ids, models, usage, and whether it was sent to its end."""
        return [_entry(one) for one in self.sent]

    async def until(self, condition: Callable[[], object], timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until this is true of what was sent."""
        async with asyncio.timeout(timeout), self.noticed:
            await self.noticed.wait_for(lambda: bool(condition()))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while request := await _read(reader):
                await self._answer(*request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        path = path.partition("?")[0]
        if method != "POST" or path == "/v1/messages/count_tokens":
            await _whole(writer, 200, {}, b"" if method == "HEAD" else b'{"input_tokens": 1}')
            return
        if path != "/v1/messages":
            await _whole(writer, 404, {}, Failure(404, "not_found_error", path).body())
            return
        given = json.loads(body)
        asked = Asked(len(self.sent), time.time(), kind_of(headers, given), headers, given)
        answer = self._script(asked) if asked.kind is not Kind.SIDE else _to_side_request(asked)
        sent = Sent(asked, answer)
        self.sent.append(sent)
        await self._tell()
        try:
            if isinstance(answer, Failure):
                await _whole(writer, answer.status, answer.headers, answer.body())
            elif given.get("stream"):
                await _stream(writer, reader, answer, asked.model)
                sent.finished = True
            else:
                await _whole(writer, 200, {}, json.dumps(answer.whole(asked.model)).encode())
                sent.finished = True
        finally:
            sent.ended_at = time.time()
            await self._tell()

    async def _tell(self) -> None:
        async with self.noticed:
            self.noticed.notify_all()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 26)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()


@asynccontextmanager
async def serve(script: Given) -> AsyncIterator[MessagesApi]:
    """A server for as long as the block runs.

    Args:
        script: answers to the main conversation and to subagents: in turn (the last one for ever), or by a function.
    """
    api = MessagesApi(script)
    await api._open()
    try:
        yield api
    finally:
        await api._close()


def kind_of(headers: Mapping[str, str], body: Mapping[str, Any]) -> Kind:
    """What a request is for."""
    if not body.get("tools") or body.get("max_tokens") == 1:
        return Kind.SIDE
    return Kind.AGENT if "x-claude-code-agent-id" in headers else Kind.MAIN


def _to_side_request(asked: Asked) -> Reply:
    return say('{"title": "A title", "isNewTopic": false}')


def _in_turn(answers: Iterable[Answer]) -> Script:
    left = iter(answers)
    last: list[Answer] = []

    def answer(asked: Asked) -> Answer:
        last[:] = [next(left, *last)]
        return last[0]

    return answer


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    """One request; ``None``: the client has left."""
    line = await reader.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode().split()
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def _whole(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes) -> None:
    lines = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    _head(writer, status, lines)
    writer.write(body)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, reply: Reply, model: str) -> None:
    """Send the reply as server-sent events; raises ConnectionError if the client leaves before its end."""
    gate = reply.gate
    if gate and not gate.after:
        await _hold(gate, reader)
    _head(writer, 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    pieces = 0
    for name, data in reply.events(model):
        event = f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
        if name == "content_block_delta":
            pieces += 1
            if gate and pieces == gate.after:
                await _hold(gate, reader)
            if reply.pause:
                await _unless_left(asyncio.sleep(reply.pause), reader)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _hold(gate: Gate, reader: asyncio.StreamReader) -> None:
    gate.reached.set()
    await _unless_left(gate.opened.wait(), reader)


async def _unless_left(work: Any, reader: asyncio.StreamReader) -> None:
    """Do this unless the client leaves meanwhile: it sends nothing more, so whatever comes is its end."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ConnectionResetError("the client has left")
    finally:
        for each in (doing, leaving):
            each.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(doing, leaving, return_exceptions=True)


def _head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())


def _entry(one: Sent) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "at": one.asked.at,
        "ended_at": one.ended_at,
        "kind": one.asked.kind,
        "model": one.asked.model,
        "messages": len(one.asked.messages),
        "finished": one.finished,
    }
    if isinstance(one.answer, Failure):
        return entry | {"status": one.answer.status}
    return entry | {"status": 200, "message_id": one.answer.id, "usage": one.answer.usage.wire()}
