"""What people see on terminals of any width, with and without colours, whatever letters there are."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import terminal
from cli.main import COMMANDS
from cli.widths import cut, size, wrap
from stratavore.models.findings import Health, Part, PartState
from stratavore.models.states import Activity, SessionState
from stratavore.models.views import ProjectResourcesView, ResourcesView
from stratavore.paths import Home
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve
from tests.unit.cli.test_consumption import MACHINE, spent

LONGEST = "a-name-of-64-letters-" + "x" * 43
QUESTION = "May it use Bash? make 日本語のテスト 🚀 && rm -rf build  # 👩‍💻"
DIRECTORY = "/home/someone/src/東京/プロジェクト/" + "deep/" * 20

SESSIONS = [
    examples.session(),
    examples.session(examples.SECOND, project=LONGEST, activity=Activity.WAITING, question=QUESTION, agent="claude"),
    examples.session(
        examples.SECOND.replace("5e", "6e"),
        state=SessionState.QUEUED,
        position=1234,
        created_at=examples.NOW - timedelta(days=400),
        cost_usd=123456.5,
        unpriced_tokens=1,
    ),
]
PARTS = (Part(name="postgres", state=PartState.PROBLEM, detail=f"{QUESTION} and more of it", hint="Mend it"),)

ANSWERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "status": (("status",), {"status": examples.status(*SESSIONS, health=(f"RabbitMQ says: {QUESTION}",))}),
    "sessions": (("sessions",), {"list_sessions": SESSIONS}),
    "runners": (
        ("runners",),
        {
            "list_runners": [
                examples.runner(generation=12),
                examples.runner(examples.SECOND, project=LONGEST, host="a-host.of.a-long-domain", question=QUESTION),
            ]
        },
    ),
    "projects": (("projects",), {"list_projects": [examples.project(), examples.project(LONGEST, path=DIRECTORY)]}),
    "events": (
        ("events", "list"),
        {
            "list_events": [
                examples.event(type="session.resumed", project=LONGEST, data={"question": QUESTION}),
                examples.event(type="runner.activity", time=examples.NOW - timedelta(days=400)),
            ]
        },
    ),
    "quotas": (("quotas", "show"), {"show_quotas": [examples.quota(), examples.quota(project=LONGEST, used=10**10)]}),
    "tokens": (("tokens",), {"show_tokens": [spent(LONGEST, 10**12, 12345.5), spent("日本語" * 9, 5, None, 5)]}),
    "resources": (
        ("resources",),
        {
            "show_resources": ResourcesView(
                hosts=(
                    examples.host(
                        f"{LONGEST}.example.internal",
                        runners=3000,
                        memory_mb=123456,
                        cpu_percent=12800,
                        machine=MACHINE,
                    ),
                ),
                projects=(ProjectResourcesView(project=LONGEST, runners=3000, memory_mb=123456, cpu_percent=12800),),
            ).model_dump(mode="json")
        },
    ),
    "health": (("health",), {"health": Health(healthy=False, parts=PARTS).model_dump(mode="json")}),
    "daemon": (("daemon", "status"), {"daemon_status": examples.daemon() | {"psql": None}}),
}

every_table = pytest.mark.parametrize(("words", "answers"), ANSWERS.values(), ids=ANSWERS)
WHOLE = {"http://127.0.0.1:9091/metrics", f"Web UI: {examples.WEB_UI}"}
"""What is never cut: a person copies it."""


@pytest.mark.parametrize("columns", [40, 80, 200])
@every_table
def test_everything_fits(
    run: Run,
    fake: Serve,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    answers: dict[str, Any],
    columns: int,
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: columns)
    fake(**answers)
    lines = run(*words).out.splitlines()
    assert len(lines) >= 2
    too_long = [line for line in lines if size(line) > columns and line not in WHOLE]
    assert too_long == []
    assert "\x1b" not in "".join(lines)


@every_table
def test_in_a_pipe_nothing_is_cut(run: Run, fake: Serve, words: tuple[str, ...], answers: dict[str, Any]) -> None:
    fake(**answers)
    out = run(*words).out
    assert "…" not in out
    assert "\x1b" not in out
    if LONGEST in str(answers):
        assert LONGEST in out


@pytest.mark.parametrize(
    ("settings", "tty", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colours(
    run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], tty: bool, coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm-256color"} | settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: tty)
    fake(list_sessions=SESSIONS)
    out = run("sessions").out
    assert ("\x1b[32mrunning\x1b[0m" in out) == coloured
    assert ("\x1b" in out) == coloured


def test_colours_change_nothing_but_colours(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(status=examples.status(*SESSIONS))
    plain = run("status").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert re.sub(r"\x1b\[[0-9;]*m", "", run("status").out) == plain


def test_help_fits_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples stay as they are typed; all else is wrapped."""
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("", *COMMANDS):
        told = run(*name.split(), "--help").out.partition("\nExamples:")[0]
        assert max(map(len, told.splitlines())) <= 60, name


@given(text=st.text(max_size=80), columns=st.integers(2, 60))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    found = cut(text, columns)
    assert size(found) <= columns
    assert found == text or (found[-1] == "…" and text.startswith(found[:-1]))


@given(words=st.lists(st.text(st.characters(categories=["L", "Nd", "So"]), min_size=1, max_size=20), min_size=1))
def test_what_is_wrapped_is_all_there_and_fits(words: list[str]) -> None:
    lines = wrap(" ".join(words), 30, before="ab  ", indent="    ")
    assert [one for line in lines for one in line.removeprefix("ab").split(" ") if one] == words
    assert all(size(line) <= 30 or line.strip() in (*words, f"ab  {words[0]}") for line in lines)


def test_how_wide_letters_are() -> None:
    assert [size(one) for one in ("abc", "日本", "e\u0301", "🚀", "\x1b[31mred\x1b[0m")] == [3, 4, 1, 2, 3]


def test_a_command_stays_whole_to_be_copied(run: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    assert run("events", "subscribe").err.splitlines() == [
        "Error: The daemon does not answer. Start",
        "it with: stratavore daemon start.",
    ]
    command = "stratavore projects delete site --with-history"
    assert wrap(f"Delete it, for ever: {command}. Or not.", 48) == ["Delete it, for ever:", f"{command}.", "Or not."]
    assert wrap(f"Delete it: {command}.", 30) == ["Delete it: stratavore projects", "delete site --with-history."]
