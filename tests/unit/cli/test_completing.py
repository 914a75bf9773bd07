"""What a press of TAB offers."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import completing, words
from stratavore.paths import Home
from tests.support.command_line import PROGRAM
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve

NAMES: dict[str, Any] = {
    "projects": ["board", "site"],
    "sessions": [{"session_id": examples.FIRST, "project": "site", "state": "running"}],
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return words.words()


def offered(*typed: str) -> list[str]:
    return [line.partition("\t")[0] for line in completing.answer(list(typed)).splitlines()]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (("re",), {"restart", "resume", "restore", "resources", "reconcile"}),
        (("si",), {"site"}),
        (("site", ""), set()),
        (("attach", ""), {"board", "site", "1a2b3c4d"}),
        (("kill", ""), {"all", "board", "site", "1a2b3c4d"}),
        (("restart", "site", "1a"), {"1a2b3c4d"}),
        (("quotas", "set", ""), {"1a2b3c4d", "global", "board", "site"}),
        (("quotas", "set", "site", "max-runners", ""), {"none"}),
        (("projects", ""), {"list", "show", "delete"}),
        (("projects", "show", "b"), {"board"}),
        (("projects", "--fo"), {"--format"}),
        (("runners", "--project", ""), {"board", "site"}),
        (("tokens", "--by", ""), {"project", "session", "model", "day"}),
        (("tokens", "--by=d"), {"--by=day"}),
        (("tokens", "--by", "=", "d"), {"day"}),
        (("tokens", "--by", "="), {"project", "session", "model", "day"}),
        (("tokens", "--project", "site", "--by", "d"), {"day"}),
        (("schedule", "pause", "n"), {"nightly"}),
        (("schedule", "create", "site", "--overlap", "s"), {"skip"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
        (("help", "sess"), {"sessions"}),
        (("launch", "site", "--", ""), {completing.FILES}),
        (("new", "x", "--path", ""), {completing.FILES}),
        (("send", "--answer", "site", ""), set()),
        (("no such", ""), set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_can_stand_there(fake: Serve, typed: tuple[str, ...], wanted: set[str]) -> None:
    fake(list_names=NAMES, schedule_names=["nightly", "site"])
    found = offered(*typed)
    assert len(found) == len(set(found))
    assert set(found) == wanted


def test_words_have_meanings(fake: Serve) -> None:
    fake(list_names=NAMES)
    assert completing.answer(["attach", "1"]) == "1a2b3c4d\tsite, running\n"
    assert completing.answer(["kil"]) == "kill\tEnd sessions.\n"


def test_without_a_daemon_commands_are_completed_and_nothing_is_said(home: Home) -> None:
    assert offered("attac") == ["attach"]
    assert offered("attach", "") == []
    assert completing.answer([]) != ""


def test_a_daemon_that_fails_offers_nothing(fake: Serve) -> None:
    fake(list_names={"of": "another version"})
    assert completing.answer(["attach", ""]) == ""


def test_the_table_is_made_once_and_anew_when_a_command_changed(
    home: Home, cache: Path, table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = completing.table()
    assert {key: made[key] for key in table} == table
    (kept,) = (cache / "stratavore").iterdir()
    monkeypatch.setattr(words, "write", lambda path, newest: {"made": "anew"})
    assert completing.table() == made
    kept.write_text(kept.read_text().replace(f'"newest": {made["newest"]}', '"newest": 1'))
    assert completing.table() == {"made": "anew"}
    kept.write_text("{")
    assert completing.table() == {"made": "anew"}


def test_a_press_of_tab_pays_for_no_library(home: Home) -> None:
    completing.table()
    program = (
        "import sys; from cli.completing import answer; answer(['attach', '']);"
        "print([name for name in ('typer', 'asyncio', 'pydantic', 'rich', 'click') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize(
    ("typed", "wanted"), [("attach s", ["site"]), ("projects ", ["list", "show", "delete"]), ("atta", ["attach"])]
)
def test_bash_completes_with_the_script(run: Run, fake: Serve, typed: str, wanted: list[str]) -> None:
    fake(list_names=NAMES)
    script = run("completion", "bash").out
    typed_words = typed.split(" ")
    program = f"""{script}
        COMP_WORDS=("{PROGRAM}" "$@") COMP_CWORD=$#
        _stratavore
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    said = subprocess.run(
        ["bash", "-c", program, "bash", *typed_words], stdout=subprocess.PIPE, text=True, check=True, env=os.environ
    )
    assert said.stdout.splitlines() == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert "stratavore" in result.out
    assert "__complete" in result.out
