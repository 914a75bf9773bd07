"""What Claude Code may be given beside what Stratavore gives it."""

import json
from pathlib import Path

import pytest

from stratavore.agents.adapter import Start
from stratavore.agents.claude.launch import check_words, plan, settings
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec


def test_a_persons_hooks_run_beside_ours() -> None:
    own = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "true"}]}]}, "model": "opus"}
    merged = settings(Path("/run"), own)
    assert merged["hooks"]["Stop"][0] == own["hooks"]["Stop"][0]  # type: ignore[index]
    assert len(merged["hooks"]["Stop"]) == 2
    assert merged["model"] == "opus"


@pytest.mark.parametrize("word", ["--resume=x", "-c", "--print", "--model", "--permission-mode=plan"])
def test_what_stratavore_gives_is_not_given_twice(word: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{word.partition('=')[0]}' cannot be given to Claude Code here: "):
        check_words([word], "/")


@pytest.mark.parametrize(
    "words",
    [
        ["fix it"],
        ["--verbose", "fix it"],
        ["--effort", "high", "fix it"],
        ["--effort=high", "fix it"],
        ["--allowedTools", "Bash", "Edit", "--", "fix it"],
    ],
)
def test_a_prompt_among_the_words_would_be_told_at_each_recovery(words: list[str]) -> None:
    with pytest.raises(InvalidInput, match=r"would take 'fix it' for a prompt, .*: stratavore launch PROJECT --prompt"):
        check_words(words, "/")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--verbose", "--effort", "high", "--dangerously-skip-permissions"],
        ["--append-system-prompt", "be kind", "--name=mine"],
        ["--allowedTools", "Bash", "Edit"],
        ["--of-another-version", "its value"],
        ["--debug"],
        ["--verbose", "--"],
    ],
)
def test_what_may_be_the_value_of_an_option_is_no_prompt(words: list[str]) -> None:
    check_words(words, "/")


def test_no_option_that_takes_many_words_stands_before_those_of_the_person(tmp_path: Path) -> None:
    spec = LaunchSpec(
        agent="claude", argv=("--verbose",), cwd="/", directories=("/a", "/b"), mcp_config=("/c", "/d"), model="opus"
    )
    for resume in (False, True):
        start = Start(session_id="s", agent_session_id="s", resume=resume, directory=tmp_path, environment={})
        words = plan(spec, start).argv
        many = words.index("--mcp-config")
        assert words[1:many] == ("--add-dir", "/a", "--add-dir", "/b")
        assert words[many + 1 : many + 4] == ("/c", "/d", "--settings")
        assert words[-3:] == ("--model", "opus", "--verbose")


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ("nowhere.json", r"in 'nowhere.json' cannot be read: .*No such file"),
        ('{"env": {"KEY": "secret"}', r"in '--settings' cannot be read: "),
        (
            json.dumps({"hooks": {"Stop": None}}),
            "in '--settings' are no object with settings, or their 'hooks' no lists",
        ),
        (json.dumps({"hooks": {"Stop": {"hooks": []}}}), "or their 'hooks' no lists by event"),
        (json.dumps({"hooks": []}), "are no object with settings"),
    ],
)
def test_settings_that_cannot_be_given_along_with_ours_are_refused_before_a_launch(
    tmp_path: Path, own: str, reason: str
) -> None:
    for words in (["--settings", own], [f"--settings={own}"]):
        with pytest.raises(InvalidInput, match=reason) as refused:
            check_words(words, str(tmp_path))
        assert "secret" not in str(refused.value)


def test_settings_in_a_file_are_looked_for_in_the_directory_of_the_session(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{}")
    check_words(["--settings", "mine.json"], str(tmp_path))
