import stat
from pathlib import Path

import pytest

from setup import compose_env

EXAMPLE = "# A remark\nFIRST_PASSWORD=\nSECOND_PASSWORD=\nGIVEN_PASSWORD=kept\nPLACE=./here\nEMPTY=\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / ".env.example").write_text(EXAMPLE)
    return tmp_path


def test_missing_passwords_are_made_and_all_else_is_kept(directory: Path) -> None:
    compose_env.provide(directory)
    place = directory / ".env"
    lines = place.read_text().splitlines()
    made = [line.partition("=")[2] for line in lines[1:3]]
    assert len(set(made)) == 2
    assert all(len(one) >= 32 and one.isalnum() for one in made)
    assert [lines[0], *lines[3:]] == ["# A remark", "GIVEN_PASSWORD=kept", "PLACE=./here", "EMPTY="]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_what_is_there_stays(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / ".env").write_text("FIRST_PASSWORD=mine\n")
    compose_env.provide(directory)
    assert (directory / ".env").read_text() == "FIRST_PASSWORD=mine\n"
    assert "stays as it is" in capsys.readouterr().out
