"""Directories that sessions are to run in."""

import errno
import os
import stat
from pathlib import Path

from stratavore.errors import ClosedDirectory, MissingDirectory, SilentDirectory
from stratavore.operators import user_name

_SILENT = {errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH}
"""What is said of a mount whose other end is away: nobody knows what is there."""


def check_directory(path: str | Path, missing: type[MissingDirectory] = MissingDirectory) -> None:
    """Check that a program of this user could run in a directory.

    Raises:
        MissingDirectory: there is none at that path; ``missing`` is which of them is said.
        ClosedDirectory: there is, or may be one, and this user may not enter it.
        SilentDirectory: nobody can tell now. It may also not answer at all: a daemon asks by :func:`mounts.look`.
    """
    try:
        there = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - Path.is_dir hides what else is wrong
    except PermissionError:
        raise ClosedDirectory(path=path, user=user_name(os.getuid())) from None
    except OSError as error:
        if error.errno in _SILENT:
            raise SilentDirectory(path=path) from None
        there = False
    except ValueError:
        there = False
    if not there:
        raise missing(path=path)
    if not os.access(path, os.X_OK):
        raise ClosedDirectory(path=path, user=user_name(os.getuid()))
