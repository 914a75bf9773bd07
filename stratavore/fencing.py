"""The lease of this host as its own processes know it, in a file: for who must not outlive it, daemon or not.

Sessions that go on elsewhere when their host is lost (``failover: auto``) chose that their agents end here before that.
A lease that ran out is never good again: the renewal after it begins a new **term**, and a runner belongs to the term
that it was launched in. Times are the machine's uptime (``/proc/uptime``): it goes on while the machine is suspended,
and nobody sets it.
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from stratavore.killpoints import effect
from stratavore.paths import Home
from stratavore.procfs import boot_id, uptime


@dataclass(frozen=True)
class HeldLease:
    """What the host holds, as the daemon wrote it after a renewal."""

    boot_id: str
    term: int
    deadline: int
    """Seconds of uptime: from then on it is not good, whatever Postgres says."""
    seconds: float
    """How long it was given for."""

    def is_good(self, now: float) -> bool:
        """Whether it holds at this uptime of the machine's run."""
        return now < self.deadline

    def covers(self, other: "HeldLease", now: float) -> bool:
        """Whether who was launched under another one of this host may go on."""
        return (self.boot_id, self.term) == (other.boot_id, other.term) and self.is_good(now)

    def line(self) -> str:
        """As it stands in files; ``guard.sh`` reads it."""
        return f"{self.boot_id} {self.term} {self.deadline} {self.seconds:g}\n"


def parse(text: str) -> HeldLease | None:
    """Understand a line; ``None``: it is none."""
    try:
        boot, term, deadline, seconds = text.split()
        return HeldLease(boot, int(term), int(deadline), float(seconds))
    except ValueError:
        return None


def read(path: Path) -> HeldLease | None:
    """What a file says; ``None``: nothing, or it cannot be read."""
    try:
        return parse(path.read_text())
    except (OSError, UnicodeDecodeError):
        return None


def held(home: Home) -> HeldLease | None:
    """The lease that this host holds now; ``None``: none, or one that ran out, or of another run of the machine."""
    found = read(home.lease_file)
    return found if found and found.boot_id == boot_id() and found.is_good(uptime()) else None


def renewed(before: HeldLease | None, *, boot: str, sent: float, now: float, seconds: float, lapsed: bool) -> HeldLease:
    """The lease after a renewal.

    Args:
        before: the one before it.
        boot: the machine's run.
        sent: the uptime before the renewal was sent. Postgres gave its lease later, so that one ends later.
        now: the uptime after it was answered.
        seconds: how long it was given for.
        lapsed: by the clock of Postgres the one before had run out: others may have taken this host's sessions.
    """
    goes_on = before is not None and not lapsed and before.boot_id == boot and before.is_good(now)
    last = before.term if before else 0
    # The clock: a file that was lost must not begin to count anew, where runners of an earlier term may live.
    term = last if goes_on else max(last + 1, time.time_ns() // 1000)
    return HeldLease(boot, term, int(sent + seconds), seconds)


def shorten(home: Home, *, sent: float, seconds: float) -> None:
    """Let the lease end no later than the one that is about to be asked for, if that is a shorter one than the last."""
    before = read(home.lease_file)
    if before and before.deadline > sent + seconds:
        _write(home.lease_file, replace(before, deadline=int(sent + seconds)).line())


def hold(home: Home, *, sent: float, seconds: float, lapsed: bool, away_since: datetime | None = None) -> HeldLease:
    """Write down that the lease was renewed. See :func:`renewed`.

    ``away_since``: its last end, for as long as Postgres counts the host as away. One that was not heard of yet is an
    end like that which ``lapsed`` tells of: the answer that did was lost, or its daemon died over it.
    """
    before = read(home.lease_file)
    unheard = away_since is not None and away_since.isoformat() != _heard_of(home)
    lease = renewed(before, boot=boot_id(), sent=sent, now=uptime(), seconds=seconds, lapsed=lapsed or unheard)
    with effect("lease.hold"):
        _write(home.lease_file, lease.line())
        if unheard and away_since is not None:
            _write(home.absence_file, away_since.isoformat())  # afterwards: else a death between would lose it
    return lease


def _heard_of(home: Home) -> str | None:
    try:
        return home.absence_file.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _write(file: Path, text: str) -> None:
    """Whole or not at all. Nothing is synchronised to the disk: it says nothing of another run of the machine."""
    temporary = file.with_name(f".{file.name}.new")  # one daemon has the state directory
    temporary.write_text(text)
    temporary.replace(file)
