"""What ``stratavore new`` refuses before anything is made."""

from pathlib import Path

import pytest

from tests.support.rights import closed_directory, without_rights
from tests.unit.cli.conftest import Run


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--model", "opus"), "nothing of a model"), (("--permission-mode", "plan"), "nothing of a permission mode")],
)
def test_any_program_is_told_nothing_that_is_for_agents(
    run: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = run("new", "site", "--path", str(tmp_path), *words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_an_agent_that_is_not_installed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("new", "site", "--path", str(tmp_path), "--agent", "claude")
    assert (result.code, result.out) == (6, "")
    assert "Claude Code is not installed: there is no program 'claude' on your PATH. Install it with" in result.err


@pytest.mark.parametrize("name", [".", "in"])
def test_a_directory_that_one_may_not_enter(run: Run, name: str) -> None:
    with closed_directory() as closed, without_rights():
        result = run("new", "site", "--path", str(closed / name))
    assert (result.code, result.out) == (2, "")
    assert "may not enter the directory" in result.err
