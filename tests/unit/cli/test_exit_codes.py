"""Each exit code that ``docs/cli.md`` lists, from a command that ends so."""

from collections.abc import Callable
from typing import Any

import pytest

from cli import reference
from stratavore.errors import DiskFull, MissingDirectory, NotTyped, ProgramNotFound, TookTooLong, UnknownTarget
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve


def fails(error: BaseException) -> Callable[..., Any]:
    """An answer that is an error."""

    def answer(**_: Any) -> Any:
        raise error

    return answer


def interrupt(*_: Any, **__: Any) -> Any:
    """Ctrl-C while the daemon is asked."""
    raise KeyboardInterrupt


ENDS: dict[int, list[tuple[tuple[str, ...], Any]]] = {
    0: [(("send", "site", "hello"), {"session_id": examples.FIRST})],
    1: [(("send", "site", "hello"), {})],  # an answer that nobody thought of
    2: [
        (("send", "site"), None),
        (("send", "site", ""), None),
        (("send", "--nope"), None),
        (("send", "site", "hello"), fails(MissingDirectory(path="/none"))),
    ],
    3: [(("send", "site", "hello"), fails(UnknownTarget(target="site", near="")))],
    4: [(("send", "site", "hello"), fails(DiskFull(path="/")))],
    5: [(("send", "site", "hello"), fails(NotTyped(session="1a2b3c4d", reason="it asks something")))],
    6: [(("send", "site", "hello"), fails(ProgramNotFound(program="claude")))],
    7: [(("send", "site", "hello"), fails(TookTooLong(session="1a2b3c4d", state="running", seconds="60")))],
    130: [(("send", "site", "hello"), interrupt)],
}


@pytest.mark.parametrize(("code", "words", "answer"), [(code, *case) for code, cases in ENDS.items() for case in cases])
def test_how_commands_end(
    run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch, code: int, words: tuple[str, ...], answer: Any
) -> None:
    fake(send=answer)
    if answer is interrupt:
        monkeypatch.setattr("cli.client.call", interrupt)
    result = run(*words)
    assert result.code == code, result
    assert result.out == ("Sent to 1a2b3c4d.\n" if code == 0 else "")
    assert result.err.startswith("Error: ") == (code not in (0, 130))
    assert result.err.count("\n") == (code not in (0, 130)), "one sentence"


def test_all_codes_are_tried() -> None:
    assert ENDS.keys() == reference.EXIT_CODES.keys()
