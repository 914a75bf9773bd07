"""One daemon for a state directory: a lock that ends with the process that holds it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from stratavore.embedded.process import Process
from stratavore.errors import DaemonRunning
from stratavore.paths import Home


class DaemonLock:
    """Held from :meth:`take` until the process ends, however it ends."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def take(self) -> None:
        """Take the lock and write this process's id into it.

        Raises:
            DaemonRunning: another daemon of this state directory lives.
        """
        # Not inherited: a server that outlives the daemon must not keep the lock.
        file = os.open(self._home.daemon_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = Path(self._home.daemon_lock).read_text().strip() or "?"
            os.close(file)
            raise DaemonRunning(home=self._home.root, pid=pid) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file  # kept open on purpose


def holder(home: Home) -> Process | None:
    """The daemon that has locked the state directory; None while it is not proven who that is.

    Its pid alone proves nothing: until it is written, the file names the last one, whose pid may be another's by now.
    """
    try:
        pid = int(home.daemon_lock.read_text())
        found = Process.of(pid)
        handles = list(Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, ValueError):
        return None
    lock = home.daemon_lock.resolve()
    for handle in handles:
        with suppress(OSError):  # closed meanwhile
            if handle.readlink() == lock:
                return found
    return None
