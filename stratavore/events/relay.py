"""From the outbox to the broker: at least once, in order within a session, with patience.

Every daemon that has a broker runs a relay. Partitions are shared among them by advisory locks, which end with the
connection that holds them: whoever dies, or has lost its broker, leaves its share to the others. An event is marked
after the broker's confirmation: who dies between the two has it published again, with the same id. A relay publishes
each session's events from the first undelivered one on, so that, repetitions left out, they arrive in order whatever
happens.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias
from uuid import uuid4

import asyncpg

from stratavore import telemetry
from stratavore.cancelling import strays_fail
from stratavore.events.batch import CONFIRM_SECONDS, Failure, Outcome, Waiting, publish
from stratavore.events.broker import Broker, BrokerAway
from stratavore.events.doubts import Doubts
from stratavore.events.envelope import EventRow, EventType, NewEvent
from stratavore.events.outbox import CHANNEL, PARTITIONS, append
from stratavore.killpoints import effect
from stratavore.store.connection import AWAY, connect, use_json
from stratavore.store.queries import load

SQL = load(__file__)

BATCH = 500
"""Events that are under way to the broker at once."""
LOOK_SECONDS = 2.0
"""How often the partitions are shared anew, and rows are looked for that no NOTIFY told of."""
BATCH_SECONDS = 0.1
"""Between the beginnings of two batches: a lone event goes at once, and of many that come one by one each batch takes
some. A batch costs Postgres about 1 ms, whatever it holds. A full batch is followed at once."""
FROZEN_SECONDS = CONFIRM_SECONDS + 30.0
"""A relay that has not asked Postgres anything for so long is frozen, or cut off: Postgres takes its share from it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between tries while Postgres or the broker is away."""

# Classes of advisory locks: any numbers that nothing else in the database uses.
_PRESENCE = 0x57A7B
_PARTITION = 0x57A7C


_Postgres: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

log = logging.getLogger(__name__)


class Relay:
    """The relay of one daemon.

    Args:
        dsn: Of the Postgres that holds the outbox; the relay keeps one connection to it.
        broker: Where events go.
        key: The key that signs events, for the alerts that the relay itself raises.
    """

    def __init__(self, dsn: str, broker: Broker, *, key: bytes) -> None:
        self._dsn = dsn
        self._broker = broker
        self._key = key
        self._woken = asyncio.Event()
        self._held: set[int] = set()
        self._doubts = Doubts()
        self._alone = 0  # events that are still to be published one by one, to find the one that is refused
        self._missing = ""  # the server that is away
        self._pause = 0.0

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this relay sends now."""
        return frozenset(self._held)

    async def run(self) -> None:
        """Relay until cancelled, through any absence of Postgres and the broker."""
        while True:
            try:
                with strays_fail():
                    await self._broker.ready()  # before there is a share that others could send
                    async with self._connected() as connection:
                        await self._relay(connection)
            except BrokerAway as error:
                self._note_missing("RabbitMQ", error)
            except AWAY as error:
                self._note_missing("Postgres", error)
            except Exception:
                log.exception("the relay failed in a way nobody thought of, and tries again")
            finally:
                self._hold(set())
            self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            await asyncio.sleep(self._pause)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Postgres]:
        connection = await connect(self._dsn)
        try:
            await use_json(connection)
            await connection.execute(SQL.give_up_when_frozen, f"{FROZEN_SECONDS * 1000:.0f}ms")
            await connection.add_listener(CHANNEL, lambda *_: self._woken.set())
            connection.add_termination_listener(lambda _: self._woken.set())
            yield connection
        finally:
            connection.terminate()

    async def _relay(self, connection: _Postgres) -> None:
        clock = asyncio.get_running_loop().time
        await connection.execute(SQL.join, _PRESENCE)
        next_look = clock()
        while True:
            if clock() >= next_look:
                await self._share(connection)
                next_look = clock() + LOOK_SECONDS
            self._woken.clear()
            began = clock()
            if not await self._send(connection):
                await self._wait(next_look - clock())
                await asyncio.sleep(began + BATCH_SECONDS - clock())

    async def _wait(self, seconds: float) -> None:
        """Wait until something is put into the outbox, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), max(seconds, 0))

    async def _share(self, connection: _Postgres) -> None:
        """Hold a fair share of the partitions. Nothing is under way now, so any can be given to another relay."""
        relays: int = await connection.fetchval(SQL.relays, _PRESENCE)
        share = -(-PARTITIONS // max(relays, 1))
        if surplus := sorted(self._held)[share:]:
            await connection.execute(SQL.give_back, _PARTITION, surplus)
            self._hold(self._held.difference(surplus))
        for partition in range(PARTITIONS):
            if len(self._held) >= share:
                return
            if partition not in self._held and await connection.fetchval(SQL.take, _PARTITION, partition):
                self._hold(self._held | {partition})

    def _hold(self, partitions: set[int]) -> None:
        if not partitions >= self._held:
            self._doubts.forget()
        self._held = partitions
        telemetry.RELAY_PARTITIONS.set(len(partitions))

    async def _send(self, connection: _Postgres) -> bool:
        """Publish a batch and mark it. Returns whether there may be more to do at once.

        Raises:
            BrokerAway: not all of it was answered.
        """
        limit = 1 if self._alone else BATCH
        rows = await connection.fetch(SQL.pending, sorted(self._held), limit, self._doubts.resting())
        if not rows:
            self._note_there()
            return False
        batch = self._doubts.one_each([_waiting(row) for row in rows])
        outcome = await publish(self._broker, batch)
        await self._mark(connection, outcome)
        if outcome.away:
            raise outcome.away
        self._note_there()
        if outcome.refused:
            self._alone = 0
        elif outcome.doubtful:
            self._alone = BATCH
        elif self._alone:
            self._alone -= 1
        return len(rows) == limit or len(batch) < len(rows)

    async def _mark(self, connection: _Postgres, outcome: Outcome) -> None:
        """Write down what the broker accepted, what is tried again, and, with an alert, what is given up."""
        if outcome.delivered:
            with effect("relay.mark"):
                await connection.execute(SQL.delivered, [one.outbox_id for one in outcome.delivered])
            telemetry.EVENTS_PUBLISHED.inc(len(outcome.delivered))
            self._doubts.accepted(outcome.delivered)
        if not outcome.declined and not outcome.refused:
            return
        tried_again, given_up = self._doubts.judge(outcome.declined)
        given_up += outcome.refused
        async with connection.transaction():
            for failed, dead in ((tried_again, False), (given_up, True)):
                ids = [one.outbox_id for one, _ in failed]
                await connection.execute(SQL.failed, ids, [reason for _, reason in failed], dead)
            await append(connection, _alerts(given_up), key=self._key)
        for one, reason in given_up:
            log.error("the broker refused the event %s (%s): %s", one.event.id, one.event.routing_key, reason)

    def _note_missing(self, server: str, error: BaseException) -> None:
        """Log once that a server went."""
        if server != self._missing:
            log.warning("%s is away; the relay sends nothing: %s", server, str(error) or type(error).__name__)
        self._missing = server

    def _note_there(self) -> None:
        """Log once that all servers are there again."""
        if self._missing:
            log.info("%s is back; the relay sends what waits", self._missing)
        self._missing = ""
        self._pause = 0.0


def _alerts(refused: Sequence[Failure]) -> list[NewEvent]:
    """One alert for a batch; a refused alert raises no other, or they would never end."""
    told = [(one.event, reason) for one, reason in refused if one.event.type != EventType.SYSTEM_ALERT]
    if not told:
        return []
    first, reason = told[0]
    data = {
        "severity": "error",
        "message": "The broker refused events; they are kept in the outbox",
        "reason": reason,
        "advice": "send them again with: stratavore events revive",
        "events": [event.id for event, _ in told],
    }
    # Told in the transaction that gives them up, which is done once each time that people have them sent again.
    return [NewEvent(None, f"refused/{first.id}/{uuid4()}", EventType.SYSTEM_ALERT, "", data)]


def _waiting(row: asyncpg.Record) -> Waiting:
    event = dict(row)
    return Waiting(event.pop("outbox_id"), event.pop("attempts"), EventRow(**event))
