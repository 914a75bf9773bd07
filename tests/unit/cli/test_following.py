"""Following an answer from runner to runner."""

from typing import Any

from cli.answers import Answers
from cli.headless import follow_answer
from cli.output import LaunchFormat
from stratavore.agents.registry import adapter_for
from stratavore.paths import Home
from stratavore.runtime.rundir import RunDirectory
from tests.unit.cli.conftest import Serve


def test_a_paused_session_is_not_asked_for_again_and_again(home: Home, fake: Serve) -> None:
    run = RunDirectory(home, "s.1")
    run.path.mkdir(parents=True)
    (run.path / "exit").write_text("143 TERM\n")
    asked = 0

    def wait(states: list[str], **_: Any) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        over = "paused" not in states or asked > 10  # a real one waits then until something else is so
        return {"session_id": "s", "state": "ended" if over else "paused", "generation": 1, "host": None}

    fake(wait=wait)
    session = follow_answer("s", Answers(adapter_for("claude"), LaunchFormat.TABLE))
    assert (session["state"], asked) == ("ended", 2)
