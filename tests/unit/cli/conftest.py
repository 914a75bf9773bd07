"""The command line in this process, against a daemon that says what a test told it to."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from cli import main, service
from stratavore.paths import Home
from tests.support.fake_daemon import FakeDaemon, serve


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]
Serve = Callable[..., FakeDaemon]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    with TemporaryDirectory(prefix="sv-", dir="/tmp") as directory:
        found = Home(Path(directory) / "home")
        found.create()
        monkeypatch.setenv("STRATAVORE_HOME", str(found.root))
        monkeypatch.setenv("STRATAVORE_CONFIG", os.devnull)  # not that of whoever runs the tests
        yield found


@pytest.fixture
def fake(home: Home) -> Iterator[Serve]:
    """Starts a daemon that gives these answers."""
    with ExitStack() as stack:
        yield lambda **answers: stack.enter_context(serve(home, answers))


@pytest.fixture
def run(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``stratavore`` with these words."""
    for name, value in vars(service.Service()).items():
        monkeypatch.setattr(service.service, name, value)

    def call(*words: str) -> Result:
        code = main.run(list(words))
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


def only(found: list[Any]) -> Any:
    """The one there is."""
    (one,) = found
    return one
