"""What Claude Code may be given beside what Stratavore gives it."""

import json
from pathlib import Path

import pytest

from stratavore.agents.claude.launch import check_words, settings
from stratavore.errors import InvalidInput


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
