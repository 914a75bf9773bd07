"""What daemons do every few minutes without being asked, begun by ``stratavore/servers/schedules.py``."""

from stratavore import telemetry
from stratavore.control.held import Held
from stratavore.control.upkeep import Upkeep
from stratavore.killpoints import effect
from stratavore.models.upkeep import UpkeepDone, UpkeepPart
from stratavore.reconcile.leftovers import Leftovers
from stratavore.servers import schedules
from stratavore.store import budgets

MOST_TOLD = 50
"""Differences whose sentences are kept with the workflow; all are events, and lines of the log."""


class RegularUpkeep(Upkeep, Held):
    """Upkeep of the servers, which any daemon can do, and of this host."""

    async def keep_up(self, part: UpkeepPart) -> UpkeepDone:
        """Compare and repair. What fails is tried again by the next run; what a person must decide is told.

        Raises:
            RPCError, asyncpg.PostgresError: Temporal or Postgres does not answer.
        """
        assert self._here is not None, "a daemon does it"
        leftovers = Leftovers(self._home, self._host, self._database, self._client, self._here)
        with effect("upkeep"):
            found = await self._reconciler(self._here if part is UpkeepPart.HOST else None).run(part=part)
        for one in found.differences:
            telemetry.RECONCILE_FINDINGS.labels(one.kind, one.outcome).inc()
        with effect("upkeep.remove"):
            removed = await (leftovers.of_host() if part is UpkeepPart.HOST else leftovers.of_servers())
        if part is UpkeepPart.SERVERS:
            await self._wake_free()
            await schedules.keep_resets(self._client, self._clocks)
        telemetry.show_upkeep(part)
        return UpkeepDone(
            outcomes=tuple(one.outcome for one in found.differences),
            sentences=tuple(f"{one.what}: {one.outcome}, {one.action}" for one in found.differences[:MOST_TOLD]),
            unseen=found.unseen,
            removed=removed,
        )

    async def _clocks(self) -> list[tuple[str, str]]:
        async with self._database.pool.acquire() as connection:
            return await budgets.clocks(connection)
