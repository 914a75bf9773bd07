"""What permissions forbid, also where the tests run as root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NOBODY = 65534


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user whom permissions concern."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def closed_directory() -> Iterator[Path]:
    """A directory that its user may not enter, in one that all may."""
    with TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o777)
        path = Path(open_to_all, "closed")
        (path / "in").mkdir(parents=True)
        (path / "file").touch()
        path.chmod(0)
        yield path
        path.chmod(0o700)
