"""The environment that a session's runners get: that of the shell it was launched from, in a private file.

A relaunch, after a reboot too, then has the same PATH and keys. Imports the standard library only: every
launch pays for it.
"""

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

from stratavore.errors import DiskFull
from stratavore.paths import Home

# Of the calling shell or terminal, or of Stratavore itself: wrong or secret in the session's own terminal.
_NOT_KEPT = re.compile(
    r"TMUX.*|STY|WINDOW|WINDOWID|COLUMNS|LINES|SHLVL|PWD|OLDPWD|_|STRATAVORE_.*|BASH_FUNC_.*"
    r"|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*|INVOCATION_ID|JOURNAL_STREAM|STATE_DIRECTORY"  # a service's own
)


def write_environment(path: Path, environment: Mapping[str, str]) -> None:
    """Keep an environment for a session, for its owner only; whole or not at all, also after power loss.

    Raises:
        DiskFull: there is no room for it.
    """
    kept = (f"{name}={value}\0" for name, value in environment.items() if not _NOT_KEPT.fullmatch(name))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.fsencode("".join(kept)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        # Before a workflow is started that relies on it: the name as well has to survive power loss.
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=path) from error
        raise


def environment_of(home: Home, session_id: str) -> dict[str, str]:
    """What a session's runners get on this host.

    Of one that was launched on another host it is that of this process, the daemon: its own, with its secrets, did not
    come along.
    """
    return read_environment(home.session_environment(session_id)) or _of_this_process()


def _of_this_process() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not _NOT_KEPT.fullmatch(name)}


def read_environment(path: Path) -> dict[str, str]:
    """What was written for a session; empty if nothing was (it was launched from another machine)."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    entries = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0") if entry)
    return {name: value for name, _, value in entries}
