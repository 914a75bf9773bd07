import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratavore.environment import read_environment, write_environment
from stratavore.errors import DiskFull

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: (
        not name.startswith(("TMUX", "STRATAVORE_"))
        and name not in ("STY", "WINDOW", "WINDOWID", "COLUMNS", "LINES", "SHLVL", "PWD", "OLDPWD")
    )
)
values = st.binary(max_size=40).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"=")))


@given(environment=st.dictionaries(names, values))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_is_written_is_read(tmp_path: Path, environment: dict[str, str]) -> None:
    file = tmp_path / "one.environment"
    write_environment(file, environment)
    assert read_environment(file) == environment
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["one.environment"]


def test_what_belongs_to_the_calling_terminal_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "one.environment"
    dropped = ["TMUX", "TMUX_PANE", "STRATAVORE_KILL_AT", "STRATAVORE_HOME", "COLUMNS", "LINES", "SHLVL", "_"]
    dropped += ["NOTIFY_SOCKET", "STATE_DIRECTORY"]  # of a service
    write_environment(file, dict.fromkeys(dropped, "x") | {"PATH": "/bin", "API_KEY": "secret"})
    assert read_environment(file) == {"PATH": "/bin", "API_KEY": "secret"}


def test_nothing_was_written(tmp_path: Path) -> None:
    assert read_environment(tmp_path / "none") == {}


def test_its_name_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a session that was launched just before a power loss would run again without its keys."""
    written = []

    def synchronised(handle: int) -> None:
        directory = stat.S_ISDIR(os.fstat(handle).st_mode)
        written.append((directory, sorted(os.listdir(tmp_path))))

    monkeypatch.setattr(os, "fsync", synchronised)
    write_environment(tmp_path / "one", {"PATH": "/bin"})
    assert [directory for directory, _ in written] == [False, True]
    assert written[-1] == (True, ["one"])


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="is full"):
        write_environment(tmp_path / "one", {"PATH": "/bin"})
    assert os.listdir(tmp_path) == []
