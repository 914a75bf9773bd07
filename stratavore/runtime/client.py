"""Running a short program to its end, with a limit that holds.

``asyncio.subprocess`` waits for the program's pipes to close, also after a kill; but a tmux client hands its
pipes to the server, and a server that hangs keeps them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast


@dataclass(frozen=True)
class Answer:
    """How a program ended and what it said."""

    code: int
    output: str
    errors: str


class _Conversation(asyncio.SubprocessProtocol):
    """Collects what the program says until it has ended and its pipes are closed."""

    def __init__(self) -> None:
        self.said: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self._open = {1, 2, "process"}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.said[fd] += data

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._close(fd)

    def process_exited(self) -> None:
        self.ended.set()
        self._close("process")

    def _close(self, part: int | str) -> None:
        self._open.discard(part)
        if not self._open and not self.over.done():
            self.over.set_result(None)


async def run(argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], input_: str, timeout: float) -> Answer:
    """Run the program with ``input_`` on its standard input.

    Raises:
        TimeoutError: it took longer than ``timeout`` seconds, and was killed.
        FileNotFoundError: there is no such program.
    """
    loop = asyncio.get_running_loop()
    transport, conversation = await loop.subprocess_exec(_Conversation, *argv, cwd=cwd, env=dict(environment))
    try:
        stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        stdin.write(input_.encode("utf-8", "surrogateescape"))
        stdin.write_eof()
        await asyncio.wait_for(conversation.over, timeout)
        code = transport.get_returncode()
    finally:
        transport.close()
        await conversation.ended.wait()  # killed by that, if it lived: nothing is left of it
    said = conversation.said
    return Answer(
        code if code is not None else 1,
        said[1].decode("utf-8", "surrogateescape"),
        said[2].decode("utf-8", "replace"),
    )
