"""Processes that outlive us: who they are, whether they live, how they start and how they are stopped.

A pid alone proves nothing, since the kernel gives it out again. A process is its pid, the tick at which it
started and the boot of the machine; nothing is ever signalled without that proof. Reads ``/proc``.
"""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from stratavore import procfs
from stratavore.killpoints import effect

LISTENING = "0A"


@dataclass(frozen=True)
class Process:
    """One process of one boot of this machine."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Who has this pid now; a zombie is nobody."""
        try:
            found = procfs.stat(pid)
        except (FileNotFoundError, ProcessLookupError):
            return None
        if found.ended and procfs.threads(pid) <= 1:  # with other threads it still holds its ports
            return None
        return cls(pid, found.start_ticks, procfs.boot_id())

    def alive(self) -> bool:
        """Whether this very process, not merely its pid, still lives."""
        return Process.of(self.pid) == self

    def send(self, number: int, *, group: bool = False) -> bool:
        """Signal it, or its process group, if it lives; the pidfd keeps the pid from being another's."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            if group and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)

    async def ended(self, timeout: float) -> bool:
        """Wait until it is gone; False if it still lives after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    async def stop(self, number: int = signal.SIGTERM, grace: float = 10) -> None:
        """Ask it to end with a signal, wait, and kill it with its process group if it does not."""
        if self.send(number) and not await self.ended(grace):
            self.send(signal.SIGKILL, group=True)
            await self.ended(grace)


@dataclass(frozen=True)
class Command:
    """What to start, as whom and where."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    group: int | None = None


def spawn(command: Command, log: Path) -> Process:
    """Start a process in a session of its own, so that neither our death nor a Ctrl-C reaches it.

    It writes to ``log`` and gets only the environment of the command: ours may hold keys.
    """
    with _private_log(log) as output, effect("embedded.spawn"):
        child = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            user=command.user,
            group=command.group,
            extra_groups=None if command.user is None else [],
        )
    # A child that nobody has waited for is always there, as a zombie at least.
    started = procfs.stat(child.pid).start_ticks
    # A thread waits for it, so that it is no zombie for one moment longer than it lives.
    threading.Thread(target=child.wait, name=f"reap-{child.pid}", daemon=True).start()
    return Process(child.pid, started, procfs.boot_id())


def find_leader(entry: str) -> Process | None:
    """The session leader with ``NAME=value`` in its environment: found without a pid."""
    name, _, value = entry.partition("=")
    for pid in procfs.pids():
        with suppress(OSError):  # gone meanwhile
            if procfs.stat(pid).session == pid and procfs.environment_value(pid, name) == value:
                process = Process.of(pid)
                if process is not None:
                    return process
    return None


def listens(pid: int, port: int) -> bool:
    """Whether this process itself listens on 127.0.0.1:``port``; that something does proves nothing."""
    sockets = set(_listening(port))
    if not sockets:
        return False
    try:
        handles = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    for handle in handles:
        try:
            if str(handle.readlink()) in sockets:
                return True
        except OSError:
            continue
    return False


def last_lines(log: Path, count: int = 4) -> str:
    """The end of a log, as one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return " | ".join([line.strip() for line in lines if line.strip()][-count:])


def _private_log(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _listening(port: int) -> Iterator[str]:
    local = f"0100007F:{port:04X}"
    with Path("/proc/net/tcp").open() as table:
        for line in table:
            fields = line.split()
            if fields[1] == local and fields[3] == LISTENING:
                yield f"socket:[{fields[9]}]"
