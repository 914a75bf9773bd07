"""The daemon's private API (``docs/private-api.md``): one line of JSON asks, lines of JSON answer.

Blocking, and the standard library only: a command that shows a list is over before asyncio would be imported.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stratavore.errors import RemoteError

_PIECE = 64 * 1024


class Unanswered(Exception):
    """No daemon listens; or, when ``silent``, one does and does not answer."""

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__("silent" if silent else "away")
        self.silent = silent


def call(path: Path, method: str, params: dict[str, Any], timeout: float) -> Any:
    """The result of one call.

    Raises:
        Unanswered: the daemon is not there, went away before its answer, or gave none in time.
        RemoteError: it answered with an error.
    """
    with _connection(path, timeout) as connection:
        connection.sendall(_asked(method, params))
        line = next(_lines(connection), None)
    if line is None:
        raise Unanswered
    return _result(line, "result")


def stream(path: Path, method: str, params: dict[str, Any]) -> Iterator[Any]:
    """The items of a streaming call, as they come, until the daemon ends it.

    Raises:
        Unanswered: the daemon is not there.
        RemoteError: it answered with an error.
    """
    with _connection(path, None) as connection:
        connection.sendall(_asked(method, params))
        for line in _lines(connection):
            yield _result(line, "item")


def _asked(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"method": method, "params": params}).encode() + b"\n"


def _result(line: bytes, key: str) -> Any:
    answer = json.loads(line)
    if "error" in answer:
        raise RemoteError(**answer["error"])
    return answer[key]


@contextmanager
def _connection(path: Path, timeout: float | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            _connect(connection, path, timeout)
            yield connection
        except TimeoutError:
            raise Unanswered(silent=True) from None
        except OSError:
            raise Unanswered from None


def _connect(connection: socket.socket, path: Path, timeout: float | None) -> None:
    deadline = time.monotonic() + (timeout or 0.0)
    while True:
        try:
            connection.connect(str(path))
        except BlockingIOError:  # its queue of callers is full: a socket with a timeout is told so at once
            if time.monotonic() > deadline:
                raise TimeoutError from None
            time.sleep(0.01)
        else:
            return


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """Whole lines; the beginning of one that was cut off by the daemon's end is none."""
    rest = b""
    while piece := connection.recv(_PIECE):
        *whole, last = piece.split(b"\n")
        if not whole:
            rest += piece
            continue
        yield rest + whole[0]
        yield from whole[1:]
        rest = last
