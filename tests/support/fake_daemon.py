"""A daemon that says what a test told it to: for what the command line makes of answers."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from stratavore import __version__
from stratavore.errors import StratavoreError, UnknownCall
from stratavore.paths import Home

Answer = Callable[..., Any]


class Raw(NamedTuple):
    """An answer that is these bytes, whatever they are, before the connection is closed."""

    written: bytes


class FakeDaemon:
    """Answers calls with ``answers[method]``: a value, or a function of the parameters (which may raise)."""

    def __init__(self, answers: dict[str, Any], version: str = __version__) -> None:
        self.answers = {"daemon_status": {"version": version}} | answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.version = version

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of the calls of one method."""
        return [params for name, params in self.calls if name == method]

    def answer(self, line: bytes) -> Iterator[bytes]:
        """What answers a line, piece by piece."""
        asked = json.loads(line)
        method, params = asked["method"], asked["params"]
        self.calls.append((method, params))
        try:
            found = self._result(method, params)
        except StratavoreError as error:
            yield self._line({"error": error.to_wire()})
            return
        if isinstance(found, Raw):
            yield found.written
        elif isinstance(found, Iterator):
            for item in found:
                yield item.written if isinstance(item, Raw) else self._line({"item": item})
        else:
            yield self._line({"result": found})

    def _result(self, method: str, params: dict[str, Any]) -> Any:
        if method not in self.answers:
            raise UnknownCall(call=method, version=self.version)
        found = self.answers[method]
        return found(**params) if callable(found) else found

    def _line(self, answer: dict[str, Any]) -> bytes:
        return json.dumps({**answer, "version": self.version}).encode() + b"\n"


@contextmanager
def serve(home: Home, answers: dict[str, Any], version: str = __version__) -> Iterator[FakeDaemon]:
    """A fake daemon for a state directory."""
    daemon = FakeDaemon(answers, version)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for piece in daemon.answer(self.rfile.readline()):
                with suppress(BrokenPipeError):  # who asked has waited long enough
                    self.wfile.write(piece)

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(home.api_socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield daemon
        finally:
            server.shutdown()
            thread.join()
            home.api_socket.unlink(missing_ok=True)
