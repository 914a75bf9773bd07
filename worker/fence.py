"""The host ends what it may not keep: runners that belong to a lease that is over."""

import asyncio
import logging

from stratavore import fencing, threads
from stratavore.fencing import HeldLease
from stratavore.paths import Home
from stratavore.procfs import boot_id, uptime
from stratavore.runtime.host import RunnerHost
from stratavore.runtime.processes import Liveness, liveness
from stratavore.runtime.rundir import RunDirectory

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks."""


class Fence:
    """Does for all runners of a host what the guard of each does, should that have died.

    Asks nobody but the lease's file, the run directories and the kernel: Postgres may be what cannot be reached.
    """

    def __init__(self, home: Home, host: RunnerHost) -> None:
        self._home = home
        self._host = host
        self._clean: int | None = None
        """The term in which no runner of another one lives."""

    async def look(self) -> None:
        """End those that are not covered. As long as the lease is renewed in time there are none."""
        lease = await threads.reserved(fencing.held, self._home)
        if lease and lease.term == self._clean:
            return
        found = await threads.reserved(_uncovered, self._home)
        for run, _ in found:
            log.warning("the runner %s is ended: this host could not renew its lease in time", run.runner_id)
        ends = (self._host.fence(run.runner_id, term.seconds) for run, term in found)
        for failure in await asyncio.gather(*ends, return_exceptions=True):
            if failure:
                raise failure  # of one; the others were not held up by it, and it is tried again
        self._clean = lease.term if lease else None


def _uncovered(home: Home) -> list[tuple[RunDirectory, HeldLease]]:
    """Living runners that are to end with a lease that is over, each with that lease."""
    lease, boot, now = fencing.read(home.lease_file), boot_id(), uptime()
    found = []
    for path in home.runners.iterdir():
        if not (path / "term").exists() or (path / "exit").exists():
            continue
        run = RunDirectory(home, path.name)
        term = run.term()
        if term is None or term.boot_id != boot or (lease and lease.covers(term, now)):
            continue
        each = [one for one in (run.agent(), run.wrapper()) if one]
        if any(liveness(one) is not Liveness.DEAD for one in each):
            found.append((run, term))
    return found
