from typing import Any

import pytest

from cli import terminal
from stratavore.models.states import Activity
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve

PHONE = 40
"""Columns of a narrow terminal."""


@pytest.mark.parametrize(
    ("words", "usage"), [([], "COMMAND | PROJECT"), (["logs"], "logs"), (["daemon", "stop"], "daemon stop")]
)
def test_help_may_come_first(run: Run, words: list[str], usage: str) -> None:
    result = run("help", *words)
    assert result.out == run(*words, "--help").out
    assert f"stratavore {usage}" in result.out.splitlines()[0]


def test_a_word_that_is_nothing_is_neither_project_nor_command(run: Run, fake: Serve) -> None:
    fake(list_projects=[{"name": "site"}])
    result = run("list")
    assert result.code == 3
    assert result.err == (
        "Error: There is no project 'list' and no such command (see: stratavore --help). "
        "Create it with: stratavore new list.\n"
    )
    assert "(did you mean 'status'?)" in run("statsu").err
    assert "such command" not in run("launch", "list").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nwe", "site"), "There is no command 'nwe'; did you mean 'new'? See: stratavore --help"),
        (("site", "hello"), "There is no command 'site', and a project is opened without further words."),
    ],
)
def test_words_after_a_word_that_is_no_command(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.code == 2
    assert said in result.err


@pytest.mark.parametrize("columns", [PHONE, 80])
@pytest.mark.parametrize("command", ["sessions", "runners"])
def test_who_waits_and_for_what_is_shown_before_all_else(
    run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch, command: str, columns: int
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: columns)
    asks: dict[str, Any] = {
        "activity": Activity.WAITING,
        "question": "May it use Bash? make all, and then some more",
        "agent": "claude",
    }
    fake(list_sessions=[examples.session(**asks)], list_runners=[examples.runner(**asks)])
    line = run(command).out.splitlines()[1]
    assert "waiting" in line
    assert columns == PHONE or "May it use Bash? ma" in line


def test_the_web_ui_is_shown_whole(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "width", lambda: PHONE)
    fake(daemon_status=examples.daemon())
    assert f"Web UI: {examples.WEB_UI}" in run("daemon", "status").out.splitlines()
