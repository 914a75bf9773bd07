"""From the outbox to the broker: at least once, in order within a session, with patience.

Every daemon runs a relay. Partitions are shared among them by advisory locks, which end with the connection that
holds them, so whoever dies leaves its share to the others. An event is marked after the broker's confirmation: who dies
between the two has it published again, with the same id. A relay publishes each session's events from the first
undelivered one on, so that, repetitions left out, they arrive in order whatever happens.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg

from stratavore import telemetry
from stratavore.cancelling import strays_fail
from stratavore.events.broker import Broker, BrokerAway, ChannelRefused, Refused
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
CONFIRM_SECONDS = 60.0
"""A batch without confirmation after this long is published again on a new connection."""
BATCH_SECONDS = 0.1
"""Between the beginnings of two batches: a lone event goes at once, and of many that come one by one each batch takes
some. A batch costs Postgres about 1 ms, whatever it holds. A full batch is followed at once."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between tries while Postgres or the broker is away."""

# Classes of advisory locks: any numbers that nothing else in the database uses.
_PRESENCE = 0x57A7B
_PARTITION = 0x57A7C


_Postgres: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Waiting:
    """A row of the outbox with its event."""

    outbox_id: int
    event: EventRow


@dataclass
class _Outcome:
    """What became of a batch; whoever is in neither list is published again."""

    delivered: list[_Waiting] = field(default_factory=list)
    refused: list[tuple[_Waiting, str]] = field(default_factory=list)
    doubtful: bool = False
    """The broker closed the channel over one of many, and did not say over which."""
    away: BrokerAway | None = None


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
        self._alone = 0  # events that are still to be published one by one, to find the one that is refused
        self._broker_pause = 0.0  # 0: it is there

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this relay sends now."""
        return frozenset(self._held)

    async def run(self) -> None:
        """Relay until cancelled, through any absence of Postgres and the broker."""
        pause = 0.0
        while True:
            try:
                with strays_fail():
                    async with self._connected() as connection:
                        pause = 0.0
                        await self._relay(connection)
            except AWAY as error:
                if not pause:
                    log.warning("the relay lost Postgres; events wait: %s", _reason(error))
            except Exception:
                log.exception("the relay failed in a way nobody thought of, and tries again")
            finally:
                self._hold(set())
            pause = _longer(pause)
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Postgres]:
        connection = await connect(self._dsn)
        try:
            await use_json(connection)
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
        """Wait until something is put into the outbox, at most so long; while the broker is away, for the pause."""
        if self._broker_pause:
            await asyncio.sleep(self._broker_pause)
            return
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
        self._held = partitions
        telemetry.RELAY_PARTITIONS.set(len(partitions))

    async def _send(self, connection: _Postgres) -> bool:
        """Publish a batch and mark it. Returns whether there may be more to do at once."""
        limit = 1 if self._alone else BATCH
        rows = await connection.fetch(SQL.pending, sorted(self._held), limit)
        if not rows:
            return False
        outcome = await self._publish([_Waiting(row["outbox_id"], _event(row)) for row in rows])
        await self._mark(connection, outcome)
        self._note_broker(outcome.away)
        if outcome.refused:
            self._alone = 0
        elif outcome.doubtful:
            self._alone = BATCH
        elif self._alone:
            self._alone -= 1
        return len(rows) == limit and outcome.away is None

    async def _publish(self, batch: Sequence[_Waiting]) -> _Outcome:
        """Publish all at once, in order, and wait for the confirmations."""
        outcome = _Outcome()
        try:
            await self._broker.ready()
            with effect("relay.publish"):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    answers = await asyncio.gather(
                        *(self._broker.publish(one.event) for one in batch), return_exceptions=True
                    )
        except BrokerAway as away:
            outcome.away = away
            return outcome
        except TimeoutError:
            await self._broker.close()
            outcome.away = BrokerAway(f"no confirmation within {CONFIRM_SECONDS:.0f} s")
            return outcome
        unsure: set[str | None] = set()  # sessions of which an event is in doubt: the later ones go after it
        for one, answer in zip(batch, answers, strict=True):
            session = one.event.session_id
            match answer:
                case ChannelRefused() if len(batch) > 1:
                    outcome.doubtful = True
                    unsure.add(session)
                case Refused():
                    outcome.refused.append((one, str(answer)))
                case BrokerAway():
                    outcome.away = answer
                    unsure.add(session)
                case BaseException():
                    raise answer
                case None if session not in unsure:
                    outcome.delivered.append(one)
        return outcome

    async def _mark(self, connection: _Postgres, outcome: _Outcome) -> None:
        """Write down what the broker confirmed and what it refused, with an alert for the latter."""
        if not outcome.delivered and not outcome.refused:
            return
        with effect("relay.mark"):
            await connection.execute(SQL.delivered, [one.outbox_id for one in outcome.delivered])
        if outcome.refused:
            async with connection.transaction():
                ids, reasons = zip(*((one.outbox_id, reason) for one, reason in outcome.refused), strict=True)
                await connection.execute(SQL.refused, ids, reasons)
                await append(connection, _alerts(outcome.refused), key=self._key)
        telemetry.EVENTS_PUBLISHED.inc(len(outcome.delivered))
        for one, reason in outcome.refused:
            log.error("the broker refused the event %s (%s): %s", one.event.id, one.event.routing_key, reason)

    def _note_broker(self, away: BrokerAway | None) -> None:
        """Log once that the broker went, and once that it is back; wait longer each time it is not there."""
        if away is None:
            if self._broker_pause:
                log.info("RabbitMQ is back; the events that waited are sent")
            self._broker_pause = 0.0
            return
        if not self._broker_pause:
            log.warning("RabbitMQ is away; events wait: %s", _reason(away))
        self._broker_pause = _longer(self._broker_pause)


def _alerts(refused: Sequence[tuple[_Waiting, str]]) -> list[NewEvent]:
    """One alert for a batch; a refused alert raises no other, or they would never end."""
    told = [(one.event, reason) for one, reason in refused if one.event.type != EventType.SYSTEM_ALERT]
    if not told:
        return []
    first, reason = told[0]
    data = {
        "severity": "error",
        "message": "The broker refused events; they are kept in the outbox",
        "reason": reason,
        "events": [event.id for event, _ in told],
    }
    return [NewEvent(None, f"refused/{first.id}", EventType.SYSTEM_ALERT, "", data)]


def _event(row: asyncpg.Record) -> EventRow:
    return EventRow(**{name: value for name, value in row.items() if name != "outbox_id"})


def _longer(pause: float) -> float:
    return min(pause * 2, LONGEST_PAUSE) or FIRST_PAUSE


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
