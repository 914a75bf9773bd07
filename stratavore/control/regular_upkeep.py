"""What daemons do every few minutes without being asked, begun by ``stratavore/servers/schedules.py``."""

from stratavore import telemetry
from stratavore.control.upkeep import Upkeep
from stratavore.killpoints import effect
from stratavore.models.upkeep import UpkeepDone, UpkeepPart
from stratavore.reconcile.leftovers import Leftovers
from stratavore.reconcile.reconciler import Reconciler

MOST_TOLD = 50
"""Differences whose sentences are kept with the workflow; all are events, and lines of the log."""


class RegularUpkeep(Upkeep):
    """Upkeep of the servers, which any daemon can do, and of this host."""

    async def keep_up(self, part: UpkeepPart) -> UpkeepDone:
        """Compare and repair. What fails is tried again by the next run; what a person must decide is told.

        Raises:
            RPCError, asyncpg.PostgresError: Temporal or Postgres does not answer.
        """
        assert self._here is not None, "a daemon does it"
        leftovers = Leftovers(self._home, self._host, self._database, self._client, self._here)
        with effect("upkeep"):
            found = await self._reconciler_of(part).run(part=part)
        for one in found.differences:
            telemetry.RECONCILE_FINDINGS.labels(one.kind, one.outcome).inc()
        with effect("upkeep.remove"):
            removed = await (leftovers.of_host() if part is UpkeepPart.HOST else leftovers.of_servers())
        telemetry.show_upkeep(part)
        return UpkeepDone(
            outcomes=tuple(one.outcome for one in found.differences),
            sentences=tuple(f"{one.what}: {one.outcome}, {one.action}" for one in found.differences[:MOST_TOLD]),
            unseen=found.unseen,
            removed=removed,
        )

    def _reconciler_of(self, part: UpkeepPart) -> Reconciler:
        if part is UpkeepPart.HOST:
            return self._reconciler()
        return Reconciler(
            self._client,
            self._database,
            self._host,
            None,
            take_up=self._start_again,
            put_away=self._rest_again,
            wake=self._wake,
        )
