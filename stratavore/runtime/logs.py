"""Logs that their writers keep open: of runners (all that their terminals showed), of the daemon and of its servers."""

import os
import re
import shutil
from pathlib import Path

LOG_LIMIT = 8 * 1024**2
_TAIL = 16 * 1024
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-~]"
)


def trim_log(path: Path, limit: int = LOG_LIMIT, *, keep: int | None = None) -> bool:
    """Move a log larger than ``limit`` to ``<log>.1``, in the place of what was there; true if it did.

    The log is emptied in place, since its writer keeps it open for appending. What comes between the last
    look and the emptying is lost: microseconds of output.

    Args:
        path: the log.
        limit: bytes that it may have.
        keep: of what is moved, only so many bytes, the last ones; None: all of it.

    Raises:
        OSError: there is no room for the copy; the log is as it was.
    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    older, temporary = path.with_name(path.name + ".1"), path.with_name(path.name + ".new")
    try:
        with path.open("rb") as source, temporary.open("wb") as copy:
            if keep is not None:
                source.seek(max(0, path.stat().st_size - keep))
            shutil.copyfileobj(source, copy, 1024**2)
            temporary.replace(older)
            shutil.copyfileobj(source, copy, 1024**2)
            copy.flush()
            os.truncate(path, 0)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def trim_logs(directory: Path, limit: int = LOG_LIMIT) -> None:
    """Bound every log in a directory: each takes about twice ``limit``, and what is written between two looks.

    Raises:
        ExceptionGroup: of the OSErrors of those that could not be moved, after all others were.
    """
    failures = []
    for log in sorted(directory.glob("*.log")):
        try:
            trim_log(log, limit, keep=limit)
        except OSError as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"logs in {directory} are too large, and cannot be moved: {failures[0]}", failures)


def last_lines(text: str, count: int = 15) -> str:
    """The last lines that are not empty."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([line for line in lines if line][-count:])


def plain_tail(path: Path) -> str:
    """The end of a log without colours and movements; empty if there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    # A line that was drawn over with a carriage return shows its last version.
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join("".join(c for c in line.rpartition("\r")[2] if c.isprintable() or c == "\t") for line in lines)
