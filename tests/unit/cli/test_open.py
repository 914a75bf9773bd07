from pathlib import Path
from typing import Any

import pytest

from stratavore.models.states import SessionState
from stratavore.paths import Home
from tests.support.fake_daemon import serve
from tests.unit.cli.conftest import Result, Run, Serve
from tests.unit.cli.examples import project, session

OLD, NEW = 3, 4


def answers(*found: dict[str, Any]) -> dict[str, Any]:
    """A daemon that resumes; its session is seen in these conditions, one after another."""
    seen = iter(found)
    return {
        "list_projects": [project()],
        "open_project": lambda **_: {"session_id": found[0]["session_id"], "action": "resume", "generation": OLD},
        "wait": lambda **_: next(seen),
        "session_runners": [{"ended_at": "2026-01-01T00:00:00Z", "exit_code": 1, "exit_reason": "it fell over"}],
    }


def test_the_old_end_of_a_resumed_session_is_not_taken_for_a_new_one(run: Run, fake: Serve) -> None:
    running = session(state=SessionState.RUNNING, generation=NEW)
    fake(**answers(session(state=SessionState.ENDED, generation=OLD), running, running))
    assert run("open", "site").out == f"{running['session_id'][:8]}  running\n"


def test_a_resumed_session_that_ends_at_once_is_told(run: Run, fake: Serve) -> None:
    parked = session(state=SessionState.PARKED, generation=NEW)
    fake(**answers(session(state=SessionState.ENDED, generation=OLD), parked, parked))
    result = run("open", "site")
    assert result.code == 6
    assert "it fell over" in result.err


def test_a_session_that_is_about_to_run_again_is_no_failed_start(run: Run, fake: Serve) -> None:
    recovering = session(state=SessionState.RECOVERING, generation=OLD)
    attach = {"session_id": recovering["session_id"], "action": "attach", "generation": OLD}
    fake(**answers(recovering, recovering) | {"open_project": attach})
    result = run("open", "site")
    assert result.code == 0
    assert result.out == f"{recovering['session_id'][:8]}  recovering\n"


def test_a_session_without_a_terminal_cannot_be_shown(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.attach.interactive", lambda: True)
    daemon = fake(find_session=session(headless=True))
    result = run("attach", "site")
    assert (result.code, result.out) == (2, "")
    assert "has no terminal to be shown; see its answer with: stratavore logs 1a2b3c4d" in result.err
    assert not daemon.asked("terminal")


def test_a_projects_file_is_no_matter_where_a_session_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".stratavore.yaml").write_text("modell: opus\n")
    running = session()
    found = answers(running, running) | {
        "list_projects": [project(path=str(tmp_path))],
        "open_project": {"session_id": running["session_id"], "action": "attach", "generation": 1},
        "list_sessions": [running],
    }
    assert opened(run, found).code == 0
    refused = opened(run, found | {"list_sessions": [session(headless=True)]})
    assert refused.code == 2
    assert "line 1: there is no key 'modell'; did you mean 'model'?" in refused.err


def opened(run: Run, found: dict[str, Any]) -> Result:
    with serve(Home.from_environment(), found):
        return run("open", "site")
