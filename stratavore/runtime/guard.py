"""What a runner is given that is to end with its host's lease."""

from functools import cache
from pathlib import Path

from stratavore.fencing import HeldLease

PAUSE_SECONDS = 5
"""A guard looks at least this often; when the lease runs out it looks at that moment (``guard.sh``)."""


def guard_files(lease: HeldLease) -> dict[str, bytes]:
    """The files of a run directory that make its wrapper keep a guard: the lease, and the guard's own script."""
    return {"term": lease.line().encode(), "guard": _script()}


@cache
def _script() -> bytes:
    return Path(__file__).with_name("guard.sh").read_bytes()
