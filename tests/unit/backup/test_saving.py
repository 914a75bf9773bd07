"""A backup gets its name once it is whole, also where a file has one name only, and never takes another's."""

import errno
import os
from pathlib import Path

import pytest

from stratavore.backup.saving import new_file
from stratavore.errors import BackupExists


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP], ids=["links", "EPERM", "EOPNOTSUPP"])
def backup(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path on a file system with hard links, and on some without."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    if request.param is not None:
        monkeypatch.setattr(os, "link", refuse)
    return tmp_path / "backup.tar"


def test_it_has_its_name_once_it_is_whole(backup: Path) -> None:
    with new_file(backup, force=False) as file:
        file.write(b"whole")
        assert not backup.exists()
    assert [one.name for one in backup.parent.iterdir()] == [backup.name]
    assert backup.read_bytes() == b"whole"
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_name_that_was_taken_meanwhile_stays_the_others(backup: Path) -> None:
    with pytest.raises(BackupExists), new_file(backup, force=False) as file:
        file.write(b"ours")
        backup.write_bytes(b"another's")
    assert backup.read_bytes() == b"another's"
    assert [one.name for one in backup.parent.iterdir()] == [backup.name]


def test_what_cannot_have_a_name_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="No space left"), new_file(tmp_path / "backup.tar", force=False) as file:
        file.write(b"ours")
    assert list(tmp_path.iterdir()) == []
