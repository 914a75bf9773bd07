"""What an operator asks for: whether everyone agrees, and whether all is well."""

from typing import Any

from stratavore.control.reach import Reach
from stratavore.health import checks
from stratavore.models.findings import Health, Reconciliation
from stratavore.reconcile.here import Here
from stratavore.reconcile.reconciler import Reconciler
from stratavore.store import sessions


class Upkeep(Reach):
    """Comparing and checking the whole of it."""

    async def reconcile(self, dry_run: bool = False, end_orphans: bool = False) -> Reconciliation:
        """Compare everyone who knows of sessions, and repair what is safe. See :class:`Reconciler`."""
        return await self._reconciler(self._here).run(dry_run=dry_run, end_orphans=end_orphans)

    async def health(self) -> Health:
        """How the running system is, part by part."""
        daemon = self._here is not None
        return await checks.look(self._home, self._host, self._database, self._client, self._broker, daemon=daemon)

    def _reconciler(self, here: Here | None) -> Reconciler:
        """``here`` None: what is known of this host is left out."""
        return Reconciler(
            self._client,
            self._database,
            self._host,
            here,
            take_up=self._start_again,
            put_away=self._rest_again,
            wake=self._wake,
        )

    async def _start_again(self, session_id: str, signal: str, message: Any) -> None:
        async with self._database.pool.acquire() as connection:
            (session,) = await sessions.views(connection, ids=[session_id], ended=True)
        await self._take_up(session, signal, message)

    async def _rest_again(self, session_id: str) -> None:
        async with self._database.pool.acquire() as connection:
            (session,) = await sessions.views(connection, ids=[session_id], ended=True)
        await self._put_away_again(session)
