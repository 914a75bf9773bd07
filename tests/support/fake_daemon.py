"""A daemon that says what a test told it to: for what the command line makes of answers."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stratavore.errors import StratavoreError
from stratavore.paths import Home

Answer = Callable[..., Any]


class FakeDaemon:
    """Answers calls with ``answers[method]``: a value, or a function of the parameters (which may raise)."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = {"daemon_status": {}} | answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of the calls of one method."""
        return [params for name, params in self.calls if name == method]

    def answer(self, line: bytes) -> list[dict[str, Any]]:
        """The lines that answer one."""
        asked = json.loads(line)
        method, params = asked["method"], asked["params"]
        self.calls.append((method, params))
        found = self.answers[method]
        try:
            result = found(**params) if callable(found) else found
        except StratavoreError as error:
            return [{"error": error.to_wire()}]
        if isinstance(result, Iterator):
            return [{"item": item} for item in result]
        return [{"result": result}]


@contextmanager
def serve(home: Home, answers: dict[str, Any]) -> Iterator[FakeDaemon]:
    """A fake daemon for a state directory."""
    daemon = FakeDaemon(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for answer in daemon.answer(self.rfile.readline()):
                self.wfile.write(json.dumps(answer).encode() + b"\n")

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
