"""A process that another one forked for us: what ``subprocess.Popen`` is for our own children."""

import os
import select
import signal
import struct
import subprocess
from contextlib import suppress

NUMBER = "q"
"""How a pid and an exit code are told."""
_SIZE = struct.calcsize(NUMBER)
_BIRTH_SECONDS = 120.0


class Newborn:
    """Known by a pipe: at first it tells the pid, and in the end the exit code."""

    def __init__(self, told: int) -> None:
        self._told = told
        self._code: int | None = None
        self.pid = self._number(_BIRTH_SECONDS)
        self._handle = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Its exit code, negative if a signal ended it; None while it lives."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """
        if self._code is None:
            self._code = self._number(timeout)
            os.close(self._told)
            os.close(self._handle)
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended
                signal.pidfd_send_signal(self._handle, number)

    def _number(self, timeout: float | None) -> int:
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired("a daemon", timeout or 0)
        found = os.read(self._told, _SIZE)
        assert len(found) == _SIZE, "the nursery is gone"
        return int(struct.unpack(NUMBER, found)[0])
