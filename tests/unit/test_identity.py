"""Who a daemon is: the same as before in its own directory, and another one in a copy on another machine."""

import json
from pathlib import Path

import pytest

from stratavore import identity
from stratavore.identity import known_state_directory, machine, state_directory_id
from stratavore.paths import Home

HERE = "0123456789abcdef0123456789abcdef"
ELSEWHERE = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine_id: str | None) -> None:
    """Be on a machine of this id."""
    file = tmp_path / "machine-id"
    file.unlink(missing_ok=True)
    if machine_id is not None:
        file.write_text(machine_id + "\n")
    monkeypatch.setattr(identity, "machine", lambda: machine(file))


def test_a_directory_keeps_its_id(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, tmp_path, HERE)
    assert known_state_directory(home) is None
    first = state_directory_id(home)
    assert (state_directory_id(home), known_state_directory(home)) == (first, first)


def test_a_copy_on_another_machine_is_another_one(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on(monkeypatch, tmp_path, HERE)
    first = state_directory_id(home)
    on(monkeypatch, tmp_path, ELSEWHERE)
    copy = state_directory_id(home)
    assert copy != first
    assert f"{home.root} came from another machine" in caplog.text
    caplog.clear()
    assert state_directory_id(home) == copy, "it is at home there now"
    assert not caplog.text


@pytest.mark.parametrize("unknown", [None, "", "uninitialized"])
def test_where_machines_have_no_ids_a_directory_keeps_its_own(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: str | None
) -> None:
    on(monkeypatch, tmp_path, unknown)
    first = state_directory_id(home)
    on(monkeypatch, tmp_path, HERE)
    assert state_directory_id(home) == first
    on(monkeypatch, tmp_path, unknown)
    assert state_directory_id(home) == first
    on(monkeypatch, tmp_path, ELSEWHERE)
    assert state_directory_id(home) != first, "what was found out meanwhile is kept"


def test_one_of_an_older_version_learns_where_it_is(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.identity_file.write_text(json.dumps({"state_directory": "5b0e3c2a-8d1f-4a6b-9c7d-2e1f0a9b8c7d"}))
    on(monkeypatch, tmp_path, HERE)
    first = state_directory_id(home)
    assert str(first) == "5b0e3c2a-8d1f-4a6b-9c7d-2e1f0a9b8c7d"
    on(monkeypatch, tmp_path, ELSEWHERE)
    assert state_directory_id(home) != first


def test_the_id_of_a_machine_is_not_told(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, tmp_path, HERE)
    state_directory_id(home)
    assert HERE not in home.identity_file.read_text()
