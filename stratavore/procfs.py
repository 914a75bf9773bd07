"""What Linux says of processes, read from ``/proc``."""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_EXEC_LOOKS = 100
_EXEC_LOOK_SECONDS = 0.001
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True)
class Stat:
    """The fields of ``/proc/<pid>/stat`` that are used here."""

    state: str
    parent: int
    session: int
    """The pid of the leader of its session."""
    cpu_ticks: int
    start_ticks: int
    resident_pages: int
    flags: int

    @property
    def ended(self) -> bool:
        """It ended, and its parent has not taken note yet; or only its first thread did."""
        return self.state in "ZX"

    @property
    def of_the_kernel(self) -> bool:
        """It runs no program, and never will."""
        return bool(self.flags & _KERNEL_THREAD)


def says_nothing(error: Exception) -> bool:
    """Whether it is we who could not ask, for want of a descriptor say: then nothing is known of who was asked."""
    return isinstance(error, OSError) and error.errno in _OURS


def boot_id() -> str:
    """Names the time between two starts of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def uptime() -> float:
    """Seconds since the machine's start, also those in which it was suspended."""
    return float(Path("/proc/uptime").read_text().split()[0])


def pids() -> list[int]:
    """All processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def stat(pid: int) -> Stat:
    """The process's line.

    Raises:
        OSError: it is gone, or hidden.
        ValueError: the line is not understood.
    """
    return parse_stat(_read(f"/proc/{pid}/stat").decode("utf-8", "replace"))


def parse_stat(line: str) -> Stat:
    """Understand a line of ``/proc/<pid>/stat``.

    Raises:
        ValueError: it cannot be understood.
    """
    # The name of the program stands in parentheses and may hold anything, more parentheses too.
    fields = line[line.rindex(")") + 2 :].split()
    if len(fields) < 22:
        raise ValueError("too few fields")
    return Stat(
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        start_ticks=int(fields[19]),
        resident_pages=int(fields[21]),
        flags=int(fields[6]),
    )


def environment_value(pid: int, name: str) -> str | None:
    """A variable that the process's program was started with; ``None``: not there, or not ours to read.

    Raises:
        OSError: it could not be asked (:func:`says_nothing`).
    """
    try:
        environment = b"\0" + _environment(pid)
    except (OSError, ValueError) as error:
        if says_nothing(error):
            raise
        return None
    key = f"\0{name}=".encode()
    start = environment.find(key)
    if start < 0:
        return None
    return environment[start + len(key) :].partition(b"\0")[0].decode("utf-8", "replace")


def _environment(pid: int) -> bytes:
    """The process's environment; in the middle of an exec, in which it reads as empty, that of the next program."""
    found = _read(f"/proc/{pid}/environ")
    looks, over = 0, False
    while not found and not over and looks < _EXEC_LOOKS:
        # The kernel sets the words first and the environment a moment later.
        over = bool(_read(f"/proc/{pid}/cmdline")) or stat(pid).ended
        time.sleep(_EXEC_LOOK_SECONDS)
        found = _read(f"/proc/{pid}/environ")
        looks += 1
    return found


def age(pid: int) -> float:
    """For how many seconds the process has been there.

    Raises:
        OSError: it is gone, or hidden.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) - stat(pid).start_ticks / os.sysconf("SC_CLK_TCK")


def command_line(pid: int) -> list[str]:
    """The words of a process, which anyone may read; empty if it is gone."""
    try:
        return _read(f"/proc/{pid}/cmdline").decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def threads(pid: int) -> int:
    """How many threads the process has; 0 if it is gone.

    Raises:
        OSError: it could not be asked (:func:`says_nothing`).
    """
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    except OSError as error:
        if says_nothing(error):
            raise
        return 0


def ignores(pid: int, number: int) -> bool:
    """Whether the process ignores a signal; false if that cannot be told."""
    try:
        status = _read(f"/proc/{pid}/status").decode("ascii", "replace")
        mask = int(status.partition("\nSigIgn:")[2].split(None, 1)[0], 16)
    except (OSError, ValueError, IndexError):
        return False
    return bool(mask >> (number - 1) & 1)


def owner(pid: int) -> int | None:
    """The user whose rights the process has; ``None`` if that cannot be told."""
    try:
        status = _read(f"/proc/{pid}/status").decode("ascii", "replace")
        return int(status.partition("\nUid:")[2].split(None, 2)[1])
    except (OSError, ValueError, IndexError):
        return None


def ancestors(pid: int) -> Iterator[int]:
    """The process, its parent, and so on.

    Raises:
        OSError: one of them could not be asked (:func:`says_nothing`).
    """
    while pid > 0:
        yield pid
        try:
            pid = stat(pid).parent
        except (OSError, ValueError) as error:
            if says_nothing(error):
                raise
            return


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - done for every process of the machine
        return file.readall()
