"""A person's terminal: a pseudo-terminal with a program in it, that can be typed into, read and closed."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.support.waiting import PATIENCE_SECONDS


class PersonTerminal:
    """What the program shows is collected while somebody waits for it."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor
        self._open = True

    def type(self, keys: str) -> None:
        """Press keys."""
        time.sleep(0.005)  # no person is faster; what comes within a millisecond tmux takes for pasted, the prefix too
        os.write(self._descriptor, keys.encode())

    def until(self, text: str, timeout: float = PATIENCE_SECONDS) -> None:
        """Read until this text was shown since the last call; what was read so far is forgotten."""
        deadline = time.monotonic() + timeout
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            self._read()
        self.shown = ""

    def ended(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Read to the program's end, and return its exit code."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on: {self.shown!r}"
            self._read()
        while self._read():
            pass  # its last words
        return self.process.returncode

    def close(self) -> None:
        """As when the window is closed or the connection breaks: the kernel hangs the program up."""
        if self._open:
            self._open = False
            os.close(self._descriptor)

    def _read(self) -> bool:
        """Read what is there. Returns whether there was anything."""
        if not select.select([self._descriptor], [], [], 0.05)[0]:
            return False
        try:
            read = os.read(self._descriptor, 65536)
        except OSError:  # nobody has the other side open any more
            time.sleep(0.01)
            return False
        self.shown += read.decode("utf-8", "replace")
        return bool(read)


@contextmanager
def person_terminal(
    argv: Sequence[str], environment: Mapping[str, str] = os.environ, *, cols: int = 100, rows: int = 30
) -> Iterator[PersonTerminal]:
    """Run a program in a terminal of its own; both are gone afterwards."""
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    with subprocess.Popen(
        ["setsid", "--ctty", *argv],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
    ) as process:
        os.close(theirs)
        terminal = PersonTerminal(process, own)
        try:
            yield terminal
        finally:
            terminal.close()
            process.kill()
