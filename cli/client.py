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

from stratavore import __version__
from stratavore.errors import EXIT_FAILED, OtherVersion, RemoteError, StrangeDaemon, UnknownCall

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
        OtherVersion: it does not know the call.
        StrangeDaemon: what answers is no daemon.
    """
    with _connection(path, timeout) as connection:
        connection.sendall(_asked(method, params))
        line = next(_lines(connection), None)
    if line is None:
        raise Unanswered
    return _result(path, line, "result")


def stream(path: Path, method: str, params: dict[str, Any]) -> Iterator[Any]:
    """The items of a streaming call, as they come, until the daemon ends it.

    Raises:
        Unanswered: the daemon is not there.
        RemoteError: it answered with an error.
        OtherVersion: it does not know the call.
        StrangeDaemon: what answers is no daemon.
    """
    with _connection(path, None) as connection:
        connection.sendall(_asked(method, params))
        for line in _lines(connection):
            yield _result(path, line, "item")


def _asked(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"method": method, "params": params}).encode() + b"\n"


def _result(path: Path, line: bytes, key: str) -> Any:
    """What a line holds under ``key``; keys that only another version of the daemon knows are left alone."""
    try:
        answer = json.loads(line)
        if "error" not in answer:
            return answer[key]
        error = answer["error"]
        code, message = str(error["code"]), str(error["message"])
        exit_code = int(error.get("exit_code", EXIT_FAILED))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StrangeDaemon(path=path) from None
    if code == UnknownCall.code:
        raise OtherVersion(daemon=answer.get("version"), client=__version__)
    raise RemoteError(code=code, message=message, exit_code=exit_code)


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
    begun: list[bytes] = []
    while piece := connection.recv(_PIECE):
        *whole, last = piece.split(b"\n")
        if whole:
            yield b"".join([*begun, whole[0]])
            yield from whole[1:]
            begun = []
        begun.append(last)
