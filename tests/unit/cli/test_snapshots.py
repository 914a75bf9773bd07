"""What people and scripts rely on, as files: the help of each command, what is in its JSON, and what errors say.

After a change that is meant, write them anew and look at the difference:
``SNAPSHOTS=write pytest tests/unit/cli/test_snapshots.py && git diff tests/unit/cli/snapshots``.
"""

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import reference
from cli.main import command
from stratavore import errors
from stratavore.errors import StratavoreError
from stratavore.models.states import SessionState
from tests.unit.cli import examples, filled, test_conversations
from tests.unit.cli.conftest import Run, Serve

SNAPSHOTS = Path(__file__).with_name("snapshots")

TYPED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "new": (("board", "--path", "/", "--", "cat"), {}),
    "launch": (("site", "--detach"), {"list_projects": [examples.project()]}),
    "pause": (("site",), {"state": SessionState.PAUSED}),
    "resume": (("site",), {}),
    "restart": (("site",), {}),
    "move": (("site", "there"), {"moved": examples.session(generation=2, host="there")}),
    "kill": (("site",), {"state": SessionState.ENDED}),
    "projects show": (("site",), {}),
    "projects delete": (("site", "--yes"), {}),
    "sessions show": (("site",), {}),
    "runners show": (("site",), {}),
    "hosts show": (("here",), {}),
    "hosts drain": (("here",), {}),
    "hosts undrain": (("here",), {}),
    "hosts delete": (
        ("here", "--yes"),
        {"delete_host": {"host": "here", "sessions": [examples.FIRST], "schedules": ["site"]}},
    ),
    "transcript": (("site",), {}),
    "search": (("words",), {}),
    "quotas set": (("site", "max-runners", "3"), {}),
    "quotas unset": (("site", "max-runners"), {}),
    "budget set": (("site", "--usd", "20"), {}),
    "budget unset": (("site",), {}),
    "budget reset": (("site",), {}),
    "approve": (("site",), {}),
    "deny": (("site",), {}),
    "schedule create": (
        ("site", "--cron", "@daily", "--prompt", "go"),
        {"list_projects": [examples.project()]},
    ),
    "schedule pause": (("daily",), {}),
    "schedule resume": (("daily",), {}),
    "schedule run": (("daily",), {}),
    "schedule delete": (("daily",), {}),
    "test": (("api",), {}),
}
"""What follows a command here; the state of sessions then, and other answers that it needs."""


def paths(found: Any = None, path: str = "") -> Iterator[str]:
    """All commands, as they are typed."""
    found = found or command()
    yield path
    for name in found.table if hasattr(found, "table") else ():
        yield from paths(found.get_command(None, name), f"{path} {name}".strip())


def compare(name: str, now: str) -> None:
    """Compare with what is stored, or store it."""
    file = SNAPSHOTS / name
    if os.environ.get("SNAPSHOTS") == "write":
        file.write_text(now)
    assert now == file.read_text(), "if that is meant: SNAPSHOTS=write pytest tests/unit/cli/test_snapshots.py"


def shape(*values: Any) -> Any:
    """Keys and types: ``{"pid": "number or null"}``; of a list, what its items are."""
    if values and all(isinstance(one, dict) for one in values):
        keys = dict.fromkeys(key for one in values for key in one)
        return {key: shape(*(one[key] for one in values if key in one)) for key in keys}
    if values and all(isinstance(one, list) for one in values):
        items = [item for one in values for item in one]
        return [shape(*items)] if items else []
    names = {type(None): "null", str: "text", int: "number", float: "number", bool: "true or false"}
    if parts := [one for one in values if isinstance(one, dict)]:
        return {"null, or": shape(*parts)}
    return " or ".join(sorted({names[type(one)] for one in values}, reverse=True))


def test_help(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    told = []
    for path in paths():
        result = run(*path.split(), "--help")
        assert (result.code, result.err) == (0, ""), path
        told.append(f"$ stratavore {path} --help\n\n{result.out}".replace("  --help", " --help") + "\n")
    compare("help.txt", "\n".join(told))


def test_results_in_json(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAVORE_POSTGRES__DSN", "postgresql://u@127.0.0.1:1/db")  # for setup: one of one's own
    daemon = fake()
    shapes = {}
    for path in reference.RESULTS:
        words, how = TYPED.get(path, ((), {}))
        printed: list[Any] = []
        for whole in (True, False):
            daemon.answers |= special(filled.answers(whole=whole), **how)
            printed += values(run(*path.split(), "--format", "json", *words).out)
        assert printed, path
        shapes[path] = shape(*printed)
    compare("results.json", json.dumps(shapes, indent=2) + "\n")


def special(answers: dict[str, Any], state: SessionState = SessionState.RUNNING, **others: Any) -> dict[str, Any]:
    """The answers, and ``others`` where their type does not say all that the command line makes of them."""
    session = answers["find_session"] | {"agent": "claude", "state": state}
    return answers | {
        "launch": lambda session_ids, **_: session_ids,
        "wait": lambda generation=0, **_: session | {"generation": max(1, generation)},
        "command": [{"session_id": examples.FIRST, "generation": 1}],
        "restart": [{"session_id": examples.FIRST, "generation": 1}],
        "move": [
            {
                "session_id": examples.FIRST,
                "generation": 1,
                "host": "there",
                "request_id": examples.SECOND,
                "refusal": None,
            }
        ],
        "find_session": session,
        "session_story": [
            examples.event(data={"runner_id": f"{examples.FIRST}.1", "lived_s": 1.5, "reason": "it was killed"}),
            examples.event(type="session.paused", data={}),
        ],
        "delete_project": {"name": "site", "deleted": True},
        "revive_events": {"revived": 2},
        "server_versions": {"temporal": "1.29.1", "postgres": "18.4", "pgvector": None, "rabbitmq": None},
        **others,
        "read_transcript": test_conversations.content,
        "subscribe": lambda **_: iter(
            [
                {"id": "1", "type": "runner.failed", "time": examples.NOW.isoformat(), "subject": subject}
                for subject in ("2", None)
            ]
        ),
    }


def values(printed: str) -> list[Any]:
    """The JSON values that were printed, one after another."""
    decoder, found, rest = json.JSONDecoder(), [], printed.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def test_errors() -> None:
    known = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, StratavoreError)]
    told = [f"{one.__name__}: {one.code}, exit code {one.exit_code}\n  {sentence(one)}\n" for one in known]
    compare("errors.txt", "\n".join(told))


def sentence(error: type[StratavoreError]) -> str:
    """What an error says, with the names of what it is filled with."""
    return " ".join((inspect.getdoc(error) or "").split())


def test_every_command_has_examples_a_place_in_the_reference_and_its_json_here(run: Run) -> None:
    reference_of = set(paths())
    written = (SNAPSHOTS.parents[3] / "docs" / "cli.md").read_text()
    shapes = json.loads((SNAPSHOTS / "results.json").read_text())
    for path in reference_of - {""}:
        told = run(*path.split(), "--help").out
        assert f"Examples:\n  stratavore {path.split()[0]}" in told or f" stratavore {path}" in told, path
        assert f"### `stratavore {path}" in written, path
        assert ("--format" in told) == (path in shapes or path == ""), path
    assert shapes.keys() <= reference_of
