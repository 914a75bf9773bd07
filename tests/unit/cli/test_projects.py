import json
from typing import Any

import pytest

from cli import project, terminal
from stratavore.models.views import ProjectDetails
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve


def details(**changes: Any) -> dict[str, Any]:
    of_states = {"ended": 4, "running": 1, "paused": 1}
    view = ProjectDetails.model_validate(
        examples.project() | {"sessions": of_states, "tokens_used": 12345, "cost_usd": 1.25, "unpriced_tokens": 0}
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def test_a_project_is_shown_whole(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "width", lambda: 80)
    fake(show_project=details(directories=("/more",)), show_quotas=[examples.quota()])
    head, _, limits = run("projects", "show", "site").out.partition("\n\n")
    created, lines = head.splitlines().pop(4), head.splitlines()
    assert created.startswith("Created: ")
    del lines[4]
    assert lines == [
        "Project: site",
        "Directory: /",
        "Agent: command cat",
        "More directories: /more",
        "Sessions: 1 paused, 1 running, 4 ended",
        "Tokens: 12.3k",
        "Cost: $1.25",
    ]
    assert limits.splitlines()[1].split()[:1] == ["site"]
    shown = json.loads(run("projects", "show", "site", "--format", "json").out)
    assert tuple(shown) == project.KEYS
    assert shown["sessions"]["ended"] == 4


def test_deleting_asks_a_person_first(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = fake(
        show_project=details(sessions={"ended": 4}, live_sessions=0), delete_project={"name": "site", "deleted": True}
    )
    asked: list[str] = []

    def no(text: str) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(project, "interactive", lambda: True)
    monkeypatch.setattr("typer.confirm", no)
    assert run("projects", "delete", "site", "--with-history") == (1, "", "Nothing was deleted.\n")
    assert asked == [
        "Delete the project site and its 4 sessions with their conversations, for ever? Its directory / stays."
    ]
    assert daemon.asked("delete_project") == []
    done = run("projects", "delete", "site", "--with-history", "--yes")
    assert done == (0, "Deleted the project site. Its directory / is as it was.\n", "")
    (params,) = daemon.asked("delete_project")
    assert params == {"project": "site", "project_id": examples.project()["project_id"], "with_history": True}


@pytest.mark.parametrize("words", [(), ("list",), ("--format", "table")])
def test_projects_are_listed_when_nothing_else_is_said(run: Run, fake: Serve, words: tuple[str, ...]) -> None:
    fake(list_projects=[examples.project()])
    assert "DIRECTORY" in run("projects", *words).out
