"""Hosts: which there are, which take new runners, and forgetting one that is gone for good."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from stratavore import connect, naming
from stratavore.control.god import God
from stratavore.control.lost_runners import tell_lost
from stratavore.errors import HostHasSchedules, HostHasSessions, HostIsUp, HostNotDeleted, UnknownHost
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.views import HostDetails, HostView
from stratavore.near_names import did_you_mean
from stratavore.servers import launch_schedules
from stratavore.signals import wake
from stratavore.store import hosts, sessions
from stratavore.store.connection import Connection
from stratavore.store.database import Database
from stratavore.store.hosts import Dependent

GO_ON_SECONDS = 30.0
"""How long sessions of a lost host may take to go on elsewhere before whoever forgets it is told of them."""
_AT_ONCE = 20


class Hosts(God):
    """Machines that sessions run on."""

    async def list_hosts(self) -> list[HostView]:
        """All hosts, by name."""
        async with self._database.pool.acquire() as connection:
            return await hosts.views(connection)

    async def show_host(self, host: str) -> HostDetails:
        """One host, with the sessions that live there."""
        async with self._database.pool.acquire() as connection:
            found = await known_host(connection, host)
            ids = [one.session_id for one in await hosts.dependents(connection, host)]
            there = await sessions.views(connection, ids=ids)
        return HostDetails(**dict(found), sessions=tuple(there))

    async def drain_host(self, host: str) -> HostDetails:
        """Place no new runner on a host. Those that are there go on."""
        await self._drain(host, draining=True)
        await let_waiting_look(self._database, self._client)
        return await self.show_host(host)

    async def undrain_host(self, host: str) -> HostDetails:
        """Place runners on a host again; sessions that found none look again."""
        await self._drain(host, draining=False)
        await let_waiting_look(self._database, self._client)
        return await self.show_host(host)

    async def delete_host(self, host: str, force: bool = False, god: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Forget a host that is gone for good.

        Args:
            host: its name.
            force: sessions that live there go on elsewhere: their runners are taken for lost, on a person's word. If
                the host comes back all the same, it ends the agents that it finds of them. Schedules that launch there
                stay, and wait for it.
            god: the operator who asks.

        Returns:
            The host's name, the ids of the sessions that go on elsewhere, and the names of the schedules that wait.

        Raises:
            UnknownHost: there is none of that name.
            HostIsUp: its lease is good, so it is not gone.
            HostHasSessions: sessions live there, and nobody said that they may go on elsewhere.
            HostHasSchedules: schedules launch there, and nobody said that they may wait.
            HostNotDeleted: not all of them have gone on elsewhere yet, or a server failed meanwhile.
        """
        await self._as_god(god, "hosts delete", [host])
        async with self._database.pool.acquire() as connection:
            found = await known_host(connection, host)
            there = await hosts.dependents(connection, host)
        if found.lease_s > 0:
            raise HostIsUp(host=host)
        if there and not force:
            raise HostHasSessions(host=host, count=naming.plural(len(there), "session"))
        schedules = await launch_schedules.names_of_host(self._client, host)
        if schedules and not force:
            raise HostHasSchedules(host=host, schedules=", ".join(schedules), first=schedules[0])
        await self._drain(host, draining=True)  # else sessions that wait for a lost host would wait for it
        try:
            left = await self._give_up(host, there)
            deleted = not left and await self._forget(found, there)
        except Exception as error:
            failed = connect.failure(error)
            if failed is None:
                raise
            raise HostNotDeleted(host=host, reason=str(failed).partition(". ")[0]) from error
        if not deleted:
            raise HostNotDeleted(host=host, reason=await self._why_not(host, left))
        await let_waiting_look(self._database, self._client)  # some may have been bound to it
        return {"host": host, "sessions": [one.session_id for one in there], "schedules": schedules}

    async def _forget(self, found: HostView, there: Sequence[Dependent]) -> bool:
        """Delete its row, as long as it is away and nothing is left there."""
        async with self._database.transaction("host.delete") as transaction:
            if not await hosts.delete(transaction.connection, found.host):
                return False
            moved = f"{naming.plural(len(there), 'session')} of it go on elsewhere" if there else "no session was there"
            data = {
                "severity": "info",
                "host": found.host,
                "message": f"the host {found.host} was deleted; {moved}",
                "sessions": [one.session_id for one in there],
            }
            key = f"host-deleted/{found.host}/{found.since.isoformat()}"
            transaction.emit(NewEvent(None, key, EventType.SYSTEM_ALERT, "", data))
        return True

    async def _why_not(self, host: str, left: int) -> str:
        """Why a host is not deleted that could have been, when that was asked for."""
        if left:
            return f"{naming.plural(left, 'session')} of it did not go on elsewhere in {GO_ON_SECONDS:.0f} s"
        async with self._database.pool.acquire() as connection:
            now = await known_host(connection, host)
        return "it is back" if now.lease_s > 0 else "a runner of it has no recorded end (see: stratavore reconcile)"

    async def _give_up(self, host: str, there: Sequence[Dependent]) -> int:
        """Tell the workflows of a host's sessions that their runners are lost. Returns how many still wait for it."""
        deadline = monotonic() + GO_ON_SECONDS
        left = list(there)
        reason = f"its host {host} is gone for good"
        while left:
            for start in range(0, len(left), _AT_ONCE):
                told = (tell_lost(self._client, one, reason) for one in left[start : start + _AT_ONCE])
                await asyncio.gather(*told)
            async with self._database.pool.acquire() as connection:
                left = await hosts.dependents(connection, host)
            if not left or monotonic() >= deadline:
                break
            await asyncio.sleep(0.2)
        return len(left)

    async def _drain(self, host: str, *, draining: bool) -> None:
        async with self._database.transaction("host.drain") as transaction:
            if not await hosts.drain(transaction.connection, host, draining=draining):
                await known_host(transaction.connection, host)


async def known_host(connection: Connection, host: str) -> HostView:
    """The host of that name.

    Raises:
        UnknownHost: there is none; names that are near are told.
    """
    known = await hosts.views(connection)
    for one in known:
        if one.host == host:
            return one
    names = [one.host for one in known]
    raise UnknownHost(name=host, near=did_you_mean(host, names))


async def let_waiting_look(database: Database, client: Client) -> None:
    """A host is there for sessions that found none: their workflows look again, a few at a time."""
    async with database.pool.acquire() as connection:
        waiting = await hosts.waiting(connection)
    for start in range(0, len(waiting), _AT_ONCE):
        await asyncio.gather(*(_look_again(client, one) for one in waiting[start : start + _AT_ONCE]))


async def _look_again(client: Client, session_id: str) -> None:
    with suppress(RPCError):  # who does not hear it looks by itself
        await wake(client, session_id)
