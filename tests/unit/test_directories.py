"""Directories that cannot be used."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stratavore.directories import check_directory
from stratavore.errors import ClosedDirectory, InvalidInput, LostDirectory, MissingDirectory
from stratavore.launch_options import existing_directory, existing_file
from tests.support.rights import closed_directory, without_rights


@pytest.fixture
def closed() -> Iterator[Path]:
    with closed_directory() as path:
        yield path


@pytest.mark.parametrize("name", [".", "in", "not there"])
def test_one_that_this_user_may_not_enter_is_told_apart_from_none(closed: Path, name: str) -> None:
    with without_rights(), pytest.raises(ClosedDirectory, match=r"^The user \w+ may not enter the directory .*closed"):
        check_directory(closed / name)


def test_one_that_is_none(tmp_path: Path) -> None:
    check_directory(tmp_path)
    (tmp_path / "file").touch()
    for name in ("gone", "file", "file/below", "with\0nul"):
        with pytest.raises(MissingDirectory, match="does not exist"):
            check_directory(tmp_path / name)
    with pytest.raises(LostDirectory):
        check_directory(tmp_path / "gone", LostDirectory)


def test_what_a_launch_names_within_it(closed: Path) -> None:
    with without_rights():
        with pytest.raises(InvalidInput, match=r"The directory .*/closed/in cannot be used: Permission denied"):
            existing_directory("in", closed)
        with pytest.raises(InvalidInput, match=r"The file .*/closed/file cannot be used: Permission denied"):
            existing_file("file", closed)
