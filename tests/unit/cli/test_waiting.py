"""Who has asked for something waits for its effect through failures of the servers: asking again would do it twice."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli import control, move, waiting
from stratavore.errors import EXIT_TIMEOUT, NotMoved, ServerFailed
from stratavore.models.states import SessionState
from tests.unit.cli.conftest import Run, Serve
from tests.unit.cli.examples import FIRST, SECOND, session

ASKED: list[tuple[tuple[str, ...], str, Any, str]] = [
    (("restart", FIRST), "restart", [{"session_id": FIRST, "generation": 1}], "running"),
    (("pause", FIRST), "command", [{"session_id": FIRST, "generation": 1}], "paused"),
    (("resume", FIRST), "command", [{"session_id": FIRST, "generation": 1}], "running"),
    (("kill", FIRST, "--force"), "command", [{"session_id": FIRST, "generation": 1}], "ended"),
    (
        ("move", FIRST, "there"),
        "move",
        [{"session_id": FIRST, "host": "there", "generation": 1, "request_id": "r", "refusal": None}],
        "running",
    ),
]
FAILURE = ServerFailed(server="Postgres", reason="the connection was lost")

asked_for = pytest.mark.parametrize(("words", "method", "answer", "becomes"), ASKED, ids=[one[0][0] for one in ASKED])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait as long as people do."""
    monkeypatch.setattr(waiting, "STEP", 0.01)
    monkeypatch.setattr(move, "STEP", 0.01)


def looks(failures: Iterator[Exception], last: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """What is seen: so many failures, then the session."""

    def look(**_: Any) -> dict[str, Any]:
        for failure in failures:
            raise failure
        return last

    return look


@asked_for
def test_a_failure_while_one_waits_is_waited_out(
    run: Run, fake: Serve, words: tuple[str, ...], method: str, answer: Any, becomes: str
) -> None:
    look = looks(iter([FAILURE, FAILURE]), session(state=SessionState(becomes), generation=2, host="there"))
    daemon = fake(**{method: answer, "wait": look, "moved": look})
    result = run(*words, "--format", "json")
    assert (result.code, result.err) == (0, "")
    assert [one["state"] for one in json.loads(result.out)] == [becomes]
    assert len(daemon.asked(method)) == 1


@asked_for
def test_a_failure_that_lasts_is_told_with_what_was_asked(
    run: Run,
    fake: Serve,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    method: str,
    answer: Any,
    becomes: str,
) -> None:
    monkeypatch.setattr(control, "EFFECT_SECONDS", 0.1)
    monkeypatch.setattr(move, "MOVE_SECONDS", 0.1)

    def look(**_: Any) -> None:
        raise FAILURE

    daemon = fake(**{method: answer, "wait": look, "moved": look})
    result = run(*words)
    assert result.code == EXIT_TIMEOUT
    assert "Postgres failed in the middle of it: the connection was lost" in result.err
    assert "It was asked for and goes on by itself, so look before you ask again: stratavore sessions" in result.err
    assert len(daemon.asked(method)) == 1


def test_a_refusal_is_no_failure(run: Run, fake: Serve) -> None:
    """Of what a server says to the question itself nothing is waited out."""
    refused = NotMoved(session=FIRST[:8], reason="it has no directory /site")
    fake(
        move=ASKED[-1][2],
        moved=looks(iter([refused] * 9), {}),
    )
    result = run("move", FIRST, "there")
    assert (result.code, result.err) == (5, f"Error: {refused}\n")


def test_what_ran_and_ended_before_anybody_looked_is_resumed(run: Run, fake: Serve) -> None:
    asked = [{"session_id": FIRST, "generation": 1}, {"session_id": SECOND, "generation": 3}]
    seen = {
        FIRST: session(FIRST, state=SessionState.RUNNING, generation=2),
        SECOND: session(SECOND, state=SessionState.ENDED, generation=4, reason="exit code 0"),
    }
    fake(command=asked, wait=lambda session_id, **_: seen[session_id])
    result = run("resume", "site")
    assert (result.code, result.err) == (0, "")
    assert [line.split()[1].rstrip(":") for line in result.out.splitlines()] == ["running", "ended"]


@pytest.mark.parametrize("form", ["table", "json"])
def test_one_that_takes_too_long_hides_no_other(
    run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(control, "EFFECT_SECONDS", 0.05)
    asked = [{"session_id": FIRST, "generation": 1}, {"session_id": SECOND, "generation": 3}]
    seen = {
        FIRST: session(FIRST, state=SessionState.RUNNING, generation=1),
        SECOND: session(SECOND, state=SessionState.PAUSED, generation=3),
    }
    fake(command=asked, wait=lambda session_id, **_: seen[session_id])
    result = run("pause", "site", "--format", form)
    assert result.code == EXIT_TIMEOUT
    assert result.err.startswith(f"Error: The session {FIRST[:8]} is still running after ")
    assert SECOND[:8] in result.out and "paused" in result.out
    assert FIRST[:8] not in result.out
