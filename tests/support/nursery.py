"""Daemons that start soon: forked from a process that has imported already what a daemon imports.

To import it takes most of a second of processor time, and a run starts hundreds of daemons. One that is born here is
a process of its own all the same: with its own environment, session and descriptors, which it would have as a program
too, and it is killed and ends like one. Only ``/proc/PID/environ`` and ``cmdline`` are the nursery's.

The nursery ends when whoever asks it is gone. The guardian finds it, and who was born in it, by the variable that it
is started with.
"""

import importlib
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from tests.support.newborn import NUMBER, Newborn

PROGRAM = "worker.daemon"
"""What is born here."""
_MOST_BYTES = 1 << 17
"""Of an environment."""


class Nursery:
    """Asks the process, which is started when the first daemon is wanted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ours: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def bear(self, environment: Mapping[str, str], cwd: Path, log: IO[bytes]) -> Newborn:
        """A daemon in that environment and directory, which writes to ``log``."""
        asked = json.dumps({"environment": dict(environment), "cwd": str(cwd)}).encode()
        told, tells = os.pipe()
        try:
            socket.send_fds(self._asked(), [asked], [log.fileno(), tells])
        finally:
            os.close(tells)
        return Newborn(told)

    def end(self) -> None:
        """End the process; who was born there lives on."""
        if self._process is not None and self._ours is not None:
            self._ours.close()
            self._process.wait(timeout=60)

    def _asked(self) -> socket.socket:
        if self._ours is None:
            self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())],
                    # The variable tells the guardian whose it is.
                    env=kept | {"STRATAVORE_HOME": mkdtemp(dir=self._directory, prefix="n")},
                    cwd=Path(__file__).parents[2],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        return self._ours


_opened: Nursery | None = None


@contextmanager
def opened(directory: Path) -> Iterator[None]:
    """While the block runs, daemons are born in a nursery; ``directory`` is one that a guardian watches."""
    global _opened
    _opened = Nursery(directory)
    try:
        yield
    finally:
        _opened.end()
        _opened = None


def current() -> Nursery | None:
    """The one that is open; None where daemons are to be started as programs, as measurements do."""
    return _opened


def main(theirs: socket.socket) -> None:
    """Fork who is asked for, and tell each one's end, until nobody is there who asks."""
    importlib.import_module(PROGRAM)
    with selectors.DefaultSelector() as selector:
        selector.register(theirs, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not theirs:
                    pid, tells = key.data
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    _tell(tells, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    os.close(tells)
                    continue
                asked, descriptors, *_ = socket.recv_fds(theirs, _MOST_BYTES, 2)
                if not asked:
                    return
                log, tells = descriptors
                pid = os.fork()
                if pid == 0:
                    _live(json.loads(asked), log)
                os.close(log)
                _tell(tells, pid)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, tells))


def _tell(descriptor: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(descriptor, struct.pack(NUMBER, number))


def _live(asked: Mapping[str, object], log: int) -> None:
    """Be the daemon, as if this process had been started for it. Returns never."""
    try:
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(str(asked["cwd"]))
        environment = asked["environment"]
        assert isinstance(environment, Mapping)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["stratavored"]
        importlib.reload(importlib.import_module("stratavore.killpoints"))  # reads its variable when it is imported
        importlib.import_module(PROGRAM).main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
