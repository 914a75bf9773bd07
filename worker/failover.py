"""Sessions of a lost host that chose not to wait for it go on here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic

from temporalio.client import Client

from stratavore.control.lost_runners import tell_lost
from stratavore.models.steps import Received, ReceiveRequest
from stratavore.store import hosts, sessions
from stratavore.store.database import Database
from stratavore.store.hosts import Absence, Dependent

log = logging.getLogger(__name__)

MARGIN_SECONDS = 15.0
"""From when this daemon sees that a lease is over until it takes the host's sessions: by then their agents have ended.

A guard looks when the lease ends and at least every 5 s, a second is lost by rounding; the rest is for killing on a
machine that is short of everything, and for clocks that do not run alike.
"""
AT_ONCE = 20
"""Sessions that one look takes: the other daemons take as many."""


class Failover:
    """Watches the leases of other hosts, by Postgres and by its own clock."""

    def __init__(
        self,
        host: str,
        database: Database,
        client: Client,
        receive: Callable[[ReceiveRequest], Awaitable[Received]],
    ) -> None:
        """``receive`` tells whether a session could go on on this host."""
        self._host = host
        self._database = database
        self._client = client
        self._receive = receive
        self._seen: dict[str, tuple[datetime, float]] = {}
        """Hosts whose lease is over: when it ended, and when that was seen first, by the monotonic clock."""
        self._said: dict[str, str] = {}
        """Of runners on lost hosts, what was said in the log: once."""

    async def look(self) -> None:
        """Let sessions of lost hosts go on here, as far as they can. Repeated until none is left."""
        async with self._database.pool.acquire() as connection:
            lapsed = await hosts.lapsed(connection, self._host)
            absences = self._lost(lapsed)
            there = [
                (absence, one)
                for absence in absences
                for one in await hosts.failing_over(connection, absence, self._host, most=AT_ONCE)
            ]
        self._said = {one.runner_id: self._said.get(one.runner_id, "") for _, one in there}
        results = await asyncio.gather(*(self._take(absence, one) for absence, one in there), return_exceptions=True)
        for failure in (one for one in results if isinstance(one, BaseException)):
            raise failure  # of one; the others were not held up by it, and it is tried again

    def _lost(self, lapsed: dict[str, datetime]) -> list[Absence]:
        """Those that have not renewed their lease for long enough.

        A clock of Postgres that jumped, and a database that was restored, end leases of hosts that live: these renew
        them before that.
        """
        now = monotonic()
        known = self._seen
        self._seen = {
            host: known[host] if host in known and known[host][0] == ended else (ended, now)
            for host, ended in lapsed.items()
        }
        return [Absence(host, ended) for host, (ended, since) in self._seen.items() if now - since >= MARGIN_SECONDS]

    async def _take(self, absence: Absence, one: Dependent) -> None:
        async with self._database.pool.acquire() as connection:
            spec = await sessions.launched_with(connection, one.session_id)
        received = await self._receive(ReceiveRequest(session_id=one.session_id, host=self._host, spec=spec))
        if received.refusal:
            self._say(one, f"it cannot go on here: {received.refusal}")
            return
        async with self._database.transaction("failover.claim") as transaction:
            claimed = await hosts.claim(transaction.connection, absence, one, self._host)
        if claimed:
            reason = f"its host {absence.host} is lost; it goes on on {self._host}"
            self._say(one, reason)
            await tell_lost(self._client, one, reason)

    def _say(self, one: Dependent, what: str) -> None:
        if self._said[one.runner_id] != what:
            log.warning("session %s: %s", one.session_id, what)
        self._said[one.runner_id] = what
