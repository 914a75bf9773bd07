"""The lease of this host, and what follows when one runs out: that it is told, and taken back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from math import ceil
from uuid import UUID

import asyncpg
from temporalio.client import Client

from stratavore import __version__, fencing, machine, threads
from stratavore.config.settings import Settings
from stratavore.control.hosts import let_waiting_look
from stratavore.errors import HostTaken
from stratavore.identity import state_directory_id
from stratavore.killpoints import effect
from stratavore.models.views import MachineView
from stratavore.paths import Home
from stratavore.procfs import boot_id, uptime
from stratavore.store import hosts
from stratavore.store.absence import tell_found, tell_lost
from stratavore.store.connection import Connection, connect, use_json
from stratavore.store.database import Database
from stratavore.store.hosts import Renewal

log = logging.getLogger(__name__)

LONGEST_SECONDS = 5.0
"""Between two renewals."""
_RENEWALS = 6
"""Within a lease, at least: a few may fail."""


class HostLease:
    """Says that this host lives, as long as it does, and notices of others that they do not.

    Agents end with it, so only Postgres may hold up a renewal, and a connection that fell silent only for a part of a
    lease: it is one of its own, which is thrown away then. What follows from a renewal is another job.
    """

    def __init__(
        self, home: Home, settings: Settings, daemon_id: UUID, dsn: str, database: Database, client: Client
    ) -> None:
        self._home = home
        self._host = settings.host
        self._seconds = settings.host_lease_seconds
        self._daemon_id = daemon_id
        self._state_directory = state_directory_id(home)
        self._dsn = dsn
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._database = database
        self._client = client
        self._renewed = asyncio.Event()
        self.taken: HostTaken | None = None
        """The daemon of another state directory has this host's name: this one may not act for the host."""
        self.regained = False
        """It has had it, and its runners were not looked for since."""
        self._expected = True
        """Sessions may wait for this host: it has just been started."""
        self.interval = min(LONGEST_SECONDS, self._seconds / _RENEWALS)
        """Seconds between two renewals."""

    async def renew(self) -> None:
        """Say that this host lives, and what its machine has.

        Raises:
            HostTaken: the daemon of another state directory says so of the same name.
            TimeoutError: Postgres does not answer.
        """
        measured = await threads.reserved(machine.measure, self._home.root)
        try:
            await self._renew(measured, patience=2 * self.interval)
        except TimeoutError:  # the connection fell silent, or the server is slow: another one, at once, and longer
            await self._renew(measured, patience=self._seconds)

    async def _renew(self, measured: MachineView, *, patience: float) -> None:
        sent = uptime()
        await threads.reserved(fencing.shorten, self._home, sent=sent, seconds=self._seconds)
        try:
            async with asyncio.timeout(patience):
                renewed = await self._ask(measured)
        except HostTaken:
            raise
        except BaseException:
            self.close()
            raise
        await threads.reserved(
            fencing.hold,
            self._home,
            sent=sent,
            seconds=self._seconds,
            lapsed=renewed.lapsed,
            away_since=renewed.away_since,
        )

    async def keep(self) -> None:
        """Renew it. If another daemon has the name by now, that is told once; when it is free again it is taken."""
        try:
            await self.renew()
        except HostTaken as error:
            if self.taken is None:
                log.error("%s This one does nothing for the host any more.", error)
            self.taken = error
        else:
            if self.taken:
                log.warning("the name %s was free, and is this daemon's again", self._host)
                self.taken, self.regained = None, True
        self._renewed.set()

    async def renewal(self) -> None:
        """Wait for the next one that Postgres answered: whether this daemon has the host's name is known then."""
        await self._renewed.wait()
        self._renewed.clear()

    async def tell(self, dead: Collection[str]) -> None:
        """Tell of hosts that are lost; and, if this one was, that it is back.

        Args:
            dead: runners of this host that are found dead. The others are watched.
        """
        absence = await tell_found(self._database, self._host, self._daemon_id, dead=dead)
        if absence:
            log.info("this host is back; its lease had run out at %s", absence.since)
            self._expected = True
        while absence := await tell_lost(self._database):
            log.warning("the host %s is away: its lease ran out at %s", absence.host, absence.since)
        if self._expected:
            await let_waiting_look(self._database, self._client)
            self._expected = False

    def close(self) -> None:
        """Let go of its connection; the next renewal makes another one."""
        if self._connection:
            self._connection.terminate()
        self._connection = None

    def unless_taken(self, job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The same job, which does nothing while another daemon has the host's name."""

        async def guarded() -> None:
            if self.taken is None:
                await job()

        return guarded

    async def _ask(self, measured: MachineView) -> Renewal:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn)
            await use_json(self._connection)
        with effect("lease.renew"):
            renewed = await hosts.renew(
                self._connection,
                self._host,
                self._daemon_id,
                state_directory=self._state_directory,
                version=__version__,
                boot_id=boot_id(),
                lease_seconds=self._seconds,
                machine=measured,
            )
            if renewed is None:
                raise await self._who_has_it(self._connection)
            return renewed

    async def _who_has_it(self, connection: Connection) -> HostTaken:
        holder = await hosts.holder(connection, self._host)
        if holder is None:  # it was deleted at this moment
            return HostTaken(host=self._host, holder="it has just been deleted", seconds=1)
        where = "on this machine, with another state directory" if holder.boot_id == boot_id() else "on another machine"
        heard = f"{where}, of version {holder.version}, last heard of {max(holder.renewed_s, 0):.0f} s ago"
        return HostTaken(host=self._host, holder=heard, seconds=max(ceil(holder.left_s), 1))
