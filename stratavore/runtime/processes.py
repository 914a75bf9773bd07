"""Processes told apart for certain: a pid alone names nobody, since the kernel gives it out again."""

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from stratavore import procfs
from stratavore.errors import EXIT_UNAVAILABLE, StratavoreError

RUNNER_MARKER = "STRATAVORE_RUNNER_ID"
SESSION_MARKER = "STRATAVORE_SESSION_ID"
HOME_MARKER = "STRATAVORE_HOME"

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1024**2
TICKS = os.sysconf("SC_CLK_TCK")
"""In a second: the unit of ``start_ticks``."""
_POLL_SECONDS = 0.2


class ProcessesUnseen(StratavoreError):
    """The processes of this machine cannot be seen: {reason}. Nothing is concluded from that, and it is tried again."""

    code = "processes_unseen"
    exit_code = EXIT_UNAVAILABLE


class Liveness(Enum):
    """What is known of a process. Only ``DEAD`` is a proof; ``UNKNOWN`` must never be treated as one."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, and no other that ever gets its pid."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True)
class Usage:
    """What a process and its living descendants use. ``cpu_seconds`` falls when one of them ends."""

    memory_mb: float
    cpu_seconds: float


class Snapshot:
    """All processes at one moment, from one pass over ``/proc`` for many runners.

    What it names to be ended is never this process or one that it descends from: a daemon that was started
    from within a session must not end itself.
    """

    def __init__(self) -> None:
        """Look now.

        Raises:
            ProcessesUnseen: not all could be looked at: who is not in it may live.
        """
        self._table: dict[int, procfs.Stat] = {}
        self._children: dict[int, list[int]] = {}
        with _looking():
            self._boot_id = procfs.boot_id()
            self._own = set(procfs.ancestors(os.getpid()))
            for pid in procfs.pids():
                if stat := _living(pid):
                    self._table[pid] = stat
                    self._children.setdefault(stat.parent, []).append(pid)
        if os.getpid() not in self._table:
            raise ProcessesUnseen(reason="the list of them is empty, or of other processes")

    def tree(self, root: ProcessIdentity) -> list[ProcessIdentity]:
        """The process and its descendants, parents first, without us; nobody if another one has its pid now."""
        if root.pid not in self._table or self._identity(root.pid) != root:
            return []
        return [self._identity(each) for each in self._descend(root.pid) if each not in self._own]

    def started_here(self) -> list[ProcessIdentity]:
        """What descends from this process."""
        return [self._identity(each) for each in self._descend(os.getpid()) if each not in self._own]

    def session(self, leader: ProcessIdentity, ended_ticks: int | None) -> list[ProcessIdentity]:
        """Those in the session (of the kernel) of a leader, without it and without us.

        The number of a session is its leader's pid, and is given to nobody else while a member lives. So members that
        began while the leader lived are its own: those of a leader that lives, and of another one those that began
        before ``ended_ticks``.
        """
        if leader.boot_id != self._boot_id:
            return []
        if liveness(leader) is Liveness.DEAD:
            if ended_ticks is None:
                return []
            last = ended_ticks
        else:
            last = max((stat.start_ticks for stat in self._table.values()), default=0)
        return [
            self._identity(pid)
            for pid, stat in self._table.items()
            if stat.session == leader.pid and pid != leader.pid and pid not in self._own
            if leader.start_ticks <= stat.start_ticks <= last
        ]

    def living(self, identities: Iterable[ProcessIdentity]) -> list[ProcessIdentity]:
        """Those of them that live."""
        return [each for each in identities if each.pid in self._table and self._identity(each.pid) == each]

    def marked(self, *, home: Path | None = None) -> dict[str, list[ProcessIdentity]]:
        """Processes of ours, without us, by the runner whose marker they carry; ``home``: of that state directory.

        Raises:
            ProcessesUnseen: not all could be looked at.
        """
        found: dict[str, list[ProcessIdentity]] = {}
        with _looking():
            for pid, stat in self._table.items():
                runner = None if stat.of_the_kernel else procfs.environment_value(pid, RUNNER_MARKER)
                if not runner or pid in self._own:
                    continue
                if home is None or procfs.environment_value(pid, HOME_MARKER) == str(home):
                    found.setdefault(runner, []).append(self._identity(pid))
        return found

    def terminals(self, sockets: Path) -> list[ProcessIdentity]:
        """The terminal servers whose sockets were made in this directory, also if it was moved since."""
        return [
            self._identity(pid)
            for pid in self._table
            if pid not in self._own
            if (words := procfs.command_line(pid))[:1] == ["tmux"]
            if any(word.startswith(f"{sockets}/") for word in words)
        ]

    def usage(self, pid: int) -> Usage | None:
        """What the process and its descendants use; ``None`` if it is gone."""
        members = [self._table[each] for each in self._descend(pid)]
        if not members:
            return None
        return Usage(
            memory_mb=sum(each.resident_pages for each in members) * _PAGE_MB,
            cpu_seconds=sum(each.cpu_ticks for each in members) / TICKS,
        )

    def _identity(self, pid: int) -> ProcessIdentity:
        return ProcessIdentity(pid, self._table[pid].start_ticks, self._boot_id)

    def _descend(self, pid: int) -> Iterator[int]:
        waiting = [pid] if pid in self._table else []
        while waiting:
            current = waiting.pop()
            yield current
            waiting.extend(self._children.get(current, ()))


@contextmanager
def _looking() -> Iterator[None]:
    """A look at processes that fails has seen nothing."""
    try:
        yield
    except OSError as error:
        raise ProcessesUnseen(reason=error.strerror or str(error)) from error


def _living(pid: int) -> procfs.Stat | None:
    """What the kernel says of a process; ``None``: it has ended, or is not ours to see."""
    try:
        stat = procfs.stat(pid)
        return stat if not stat.ended or procfs.threads(pid) > 1 else None
    except (OSError, ValueError) as error:
        if procfs.says_nothing(error):
            raise
        return None


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has ``pid`` now; ``None`` when there is none or it cannot be read."""
    try:
        return ProcessIdentity(pid, procfs.stat(pid).start_ticks, procfs.boot_id())
    except (OSError, ValueError):
        return None


def parse_identity(line: str) -> ProcessIdentity | None:
    """The identity that a shell wrote of itself: the boot id and its line of ``/proc/<pid>/stat``."""
    boot, _, stat = line.partition(" ")
    try:
        return ProcessIdentity(int(stat.partition(" ")[0]), procfs.parse_stat(stat).start_ticks, boot)
    except ValueError:
        return None


def liveness(identity: ProcessIdentity) -> Liveness:
    """Whether the process lives. A zombie is dead; another process with its pid proves it dead."""
    try:
        if identity.boot_id != procfs.boot_id():
            return Liveness.DEAD
        stat = procfs.stat(identity.pid)
    except (FileNotFoundError, ProcessLookupError):
        return _liveness_without_proc(identity.pid)
    except (OSError, ValueError):
        return Liveness.UNKNOWN
    if stat.start_ticks != identity.start_ticks:
        return Liveness.DEAD
    try:
        if stat.ended and procfs.threads(identity.pid) <= 1:
            return Liveness.DEAD
    except OSError:
        return Liveness.UNKNOWN
    return Liveness.ALIVE


def measure(snapshot: Snapshot, pids: Mapping[str, int]) -> dict[str, Usage]:
    """What the trees below the given pids use, by the same keys. Who is gone is left out."""
    usages = {key: snapshot.usage(pid) for key, pid in pids.items()}
    return {key: usage for key, usage in usages.items() if usage is not None}


def open_pidfd(identity: ProcessIdentity) -> int | None:
    """A descriptor that becomes readable when the process dies, whosever child it is; ``None``: proven dead.

    Raises:
        OSError: it cannot be told, as when no descriptor is free.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return None
    # From here on the descriptor means one process; the question is only which.
    if liveness(identity) is Liveness.DEAD:
        os.close(descriptor)
        return None
    return descriptor


def send(identity: ProcessIdentity, number: signal.Signals) -> None:
    """Signal exactly this process; nothing happens if it is dead or not ours."""
    with suppress(OSError):
        descriptor = open_pidfd(identity)
        if descriptor is not None:
            try:
                signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def is_out_of_reach(identity: ProcessIdentity) -> bool:
    """Whether it lives, and we have no right to end it: another user's, as what `sudo` started. Any doubt is a no."""
    try:
        os.kill(identity.pid, 0)
    except PermissionError:
        # Asked after the kernel refused: it was this process then, not another one with its pid.
        return liveness(identity) is Liveness.ALIVE
    except OSError:
        pass
    return False


def ignores(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Whether a signal does nothing to the process; false if that cannot be told."""
    return liveness(identity) is Liveness.ALIVE and procfs.ignores(identity.pid, number)


def send_group(identity: ProcessIdentity, number: signal.Signals) -> None:
    """Signal the process group that the process is in; nothing happens if the process is dead."""
    with suppress(OSError):
        group = os.getpgid(identity.pid)
        # Asked after the group was read: it was this process's group, not that of one with the same pid.
        if group > 1 and group != os.getpgrp() and liveness(identity) is Liveness.ALIVE:
            os.killpg(group, number)


async def wait_dead(identity: ProcessIdentity, timeout: float) -> bool:
    """Wait until the process is proven dead; false when it is not within ``timeout`` seconds."""
    try:
        descriptor = open_pidfd(identity)
    except OSError:
        return await _poll_dead(identity, timeout)
    if descriptor is None:
        return True
    loop = asyncio.get_running_loop()
    dead = asyncio.Event()
    loop.add_reader(descriptor, dead.set)
    try:
        await asyncio.wait_for(dead.wait(), timeout)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True


async def outlive(identities: Iterable[ProcessIdentity], timeout: float) -> list[ProcessIdentity]:
    """Those that are not proven dead within ``timeout`` seconds."""
    each = list(identities)
    dead = await asyncio.gather(*(wait_dead(identity, timeout) for identity in each))
    return [identity for identity, is_dead in zip(each, dead, strict=True) if not is_dead]


async def end(identities: Iterable[ProcessIdentity], *, grace: float, patience: float = 5.0) -> list[ProcessIdentity]:
    """End the processes: SIGTERM, ``grace`` seconds, SIGKILL, ``patience`` seconds. Returns those left."""
    living = list(identities)
    if grace > 0:
        living = await _signal_and_wait(living, signal.SIGTERM, grace)
    return await _signal_and_wait(living, signal.SIGKILL, patience)


async def _signal_and_wait(
    identities: list[ProcessIdentity], number: signal.Signals, timeout: float
) -> list[ProcessIdentity]:
    for identity in identities:
        send(identity, number)
    return await outlive(identities, timeout)


async def _poll_dead(identity: ProcessIdentity, timeout: float) -> bool:
    """For want of a descriptor, ask again and again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while liveness(identity) is not Liveness.DEAD:
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _liveness_without_proc(pid: int) -> Liveness:
    """``/proc`` can hide processes of others; the kernel still says whether there is one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Liveness.DEAD
    except OSError:
        pass
    return Liveness.UNKNOWN
