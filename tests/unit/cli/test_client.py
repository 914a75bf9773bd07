import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import client
from stratavore.errors import RemoteError, UnknownProject
from stratavore.paths import Home
from tests.unit.cli.conftest import Serve


@contextmanager
def answering(path: Path, *pieces: bytes) -> Iterator[None]:
    """A socket that reads a line and sends these pieces, then closes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_a_result(home: Home, fake: Serve) -> None:
    daemon = fake(wait=lambda **params: [params])
    assert client.call(home.api_socket, "wait", {"a": 1}, 5) == [{"a": 1}]
    assert daemon.calls == [("wait", {"a": 1})]


def test_an_error_keeps_its_code_message_and_exit_code(home: Home, fake: Serve) -> None:
    def refuse() -> None:
        raise UnknownProject(name="x", near="")

    fake(launch=refuse)
    with pytest.raises(RemoteError) as raised:
        client.call(home.api_socket, "launch", {}, 5)
    wanted = UnknownProject(name="x", near="")
    assert raised.value.to_wire() == wanted.to_wire()


def test_a_stream(home: Home, fake: Serve) -> None:
    fake(subscribe=lambda **_: iter([{"id": "1"}, {"id": "2"}]))
    assert list(client.stream(home.api_socket, "subscribe", {})) == [{"id": "1"}, {"id": "2"}]


def test_nobody_listens(home: Home) -> None:
    with pytest.raises(client.Unanswered) as raised:
        client.call(home.api_socket, "status", {}, 5)
    assert not raised.value.silent


def test_a_socket_that_a_dead_daemon_left(home: Home) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
    with pytest.raises(client.Unanswered):
        client.call(home.api_socket, "status", {}, 5)


def test_a_daemon_that_says_nothing_is_silent(home: Home) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.api_socket))
        listener.listen()
        with pytest.raises(client.Unanswered) as raised:
            client.call(home.api_socket, "status", {}, 0.05)
    assert raised.value.silent


def test_a_daemon_with_more_callers_than_it_takes_is_silent(home: Home) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(home.api_socket))
        listener.listen(0)
        first.connect(str(home.api_socket))
        with pytest.raises(client.Unanswered) as raised:
            client.call(home.api_socket, "status", {}, 0.05)
    assert raised.value.silent


@pytest.mark.parametrize("answer", [b"", b'{"result": [', b'{"result": 1}'])
def test_a_daemon_that_dies_in_its_answer(home: Home, answer: bytes) -> None:
    with answering(home.api_socket, answer), pytest.raises(client.Unanswered):
        client.call(home.api_socket, "status", {}, 5)


@given(results=st.lists(st.text(max_size=30), min_size=1, max_size=5), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_lines_are_put_together_however_they_were_cut(results: list[str], cuts: list[int]) -> None:
    content = b"".join(json.dumps({"item": one}).encode() + b"\n" for one in results) + b'{"item": "half'
    ends = [*sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lines = client._lines(ours)
        found = []
        for piece in pieces:
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        found = [json.loads(line)["item"] for line in lines]
    assert found == results
