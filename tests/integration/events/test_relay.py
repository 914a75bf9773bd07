"""The relay between a real Postgres and a real RabbitMQ: nothing lost, order kept, whatever goes away meanwhile."""

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractQueue

from stratavore.events import doubts
from stratavore.events import relay as relay_module
from stratavore.events.batch import CONFIRM_SECONDS
from stratavore.events.broker import Broker
from stratavore.events.envelope import NewEvent, verify
from stratavore.events.outbox import PARTITIONS
from stratavore.events.relay import Relay
from stratavore.store import events
from stratavore.store.database import Database
from tests.integration.events.conftest import Record
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS

KEY = b"k" * 32


class World(Record):
    """An outbox, an exchange with a queue that gets everything, and as many relays as a test wants."""

    def __init__(self, dsn: str, database: Database, url: str, exchange: str, queue: AbstractQueue) -> None:
        super().__init__(dsn, database)
        self.url: str | None = url
        self.exchange = exchange
        self.queue = queue
        self.received: list[dict[str, Any]] = []

    @asynccontextmanager
    async def relay(self, url: Callable[[], str | None] | None = None) -> AsyncIterator[Relay]:
        broker = Broker(url or (lambda: self.url), exchange=self.exchange)
        made = Relay(self.dsn, broker, key=KEY)
        running = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await broker.close()

    async def emit(self, session: str, key: str) -> None:
        async with self.database.transaction("test") as transaction:
            transaction.emit(NewEvent(session, key, "runner.activity", "site", {"key": key}))

    async def count(self, condition: str) -> int:
        found: int = await self.database.pool.fetchval(f"SELECT count(*) FROM outbox WHERE {condition}")
        return found

    async def all_delivered(self) -> None:
        """Wait until nothing waits any more, then take what arrived."""
        await eventually(lambda: self.count("NOT delivered AND NOT dead"), 0)
        while message := await self.queue.get(fail=False, no_ack=True):
            self.received.append(json.loads(message.body))

    def first_seen(self) -> dict[str, list[int]]:
        """The sequence numbers of each session in the order in which they arrived first."""
        seen: dict[str, list[int]] = defaultdict(list)
        for event in self.received:
            if "subject" not in event:
                continue
            sequence = int(event["sequence"])
            if sequence not in seen[event["subject"]]:
                seen[event["subject"]].append(sequence)
        return dict(seen)


async def eventually(look: Callable[[], Awaitable[object]], wanted: object, timeout: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(timeout):
        while await look() != wanted:
            await asyncio.sleep(0.02)


@pytest.fixture
async def world(database: str, rabbitmq_url: str) -> AsyncIterator[World]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    opened = await Database.open(database, KEY)
    connection = await aio_pika.connect(rabbitmq_url)
    channel = await connection.channel()
    exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, "#")
    yield World(database, opened, rabbitmq_url, name, queue)
    await exchange.delete(if_unused=False)
    await connection.close()
    await opened.close()


async def test_everything_is_delivered_signed_and_in_order(world: World) -> None:
    mine = await world.new_sessions(5)
    for number in range(20):
        await asyncio.gather(*(world.emit(session, str(number)) for session in mine))
    async with world.relay():
        await world.all_delivered()
    assert len(world.received) == 100  # each once: nobody died
    assert world.first_seen() == {session: list(range(1, 21)) for session in mine}
    assert all(verify(event, KEY) for event in world.received)


async def test_a_commit_wakes_the_relay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 3600.0)
    (session,) = await world.new_sessions(1)
    async with world.relay() as relay:
        await eventually(lambda: asyncio.sleep(0, len(relay.partitions)), PARTITIONS)
        for number in range(3):
            await world.emit(session, str(number))
            await world.all_delivered()
    assert world.first_seen() == {session: [1, 2, 3]}


async def test_events_wait_for_a_broker_that_is_away(world: World) -> None:
    url, world.url = world.url, None
    (session,) = await world.new_sessions(1)
    async with world.relay():
        await world.emit(session, "while it is away")
        await eventually(lambda: world.count("NOT delivered"), 1)
        world.url = url
        await world.all_delivered()
    assert world.first_seen() == {session: [1]}


async def test_a_relay_without_a_broker_leaves_all_to_those_that_have_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.05)
    mine = await world.new_sessions(20)

    async def happen(key: str) -> None:
        await asyncio.gather(*(world.emit(session, key) for session in mine))

    async with Proxy.before(world.url) as proxy:
        proxy.is_open = False
        async with world.relay(lambda: proxy.url) as cut_off, world.relay() as other:

            async def shares() -> tuple[int, int]:
                return len(cut_off.partitions), len(other.partitions)

            await happen("while one has none")
            await world.all_delivered()
            proxy.is_open = True
            await eventually(shares, (8, 8))
            proxy.is_open = False
            proxy.cut()
            await happen("after it lost it")
            await world.all_delivered()
            assert await shares() == (0, 16)
    assert world.first_seen() == {session: [1, 2] for session in mine}


async def test_a_relay_that_is_frozen_loses_its_share(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(relay_module, "FROZEN_SECONDS", 1.0)
    mine = await world.new_sessions(20)
    async with Proxy.before(world.url) as proxy, world.relay(lambda: proxy.url) as frozen:
        await eventually(lambda: asyncio.sleep(0, len(frozen.partitions)), PARTITIONS)
        async with world.relay() as other:
            await eventually(lambda: asyncio.sleep(0, len(other.partitions)), PARTITIONS // 2)
            proxy.hold()  # it waits for confirmations, and asks Postgres nothing
            await asyncio.gather(*(world.emit(session, "waits") for session in mine))
            async with asyncio.timeout(CONFIRM_SECONDS / 2):
                await world.all_delivered()
            proxy.go_on()
    assert world.first_seen() == {session: [1] for session in mine}


async def test_connections_that_break_in_the_middle_lose_nothing_and_keep_the_order(world: World) -> None:
    mine = await world.new_sessions(20)
    async with Proxy.before(world.url) as proxy, world.relay():
        world.url = proxy.url
        for number in range(30):
            await asyncio.gather(*(world.emit(session, str(number)) for session in mine))
            if number % 6 == 3:
                proxy.cut()
        await world.all_delivered()
        assert proxy.cuts >= 1
    assert world.first_seen() == {session: list(range(1, 31)) for session in mine}


async def test_a_relay_that_loses_postgres_goes_on(world: World) -> None:
    mine = await world.new_sessions(3)
    async with world.relay() as relay:
        for number in range(20):
            await asyncio.gather(*(world.emit(session, str(number)) for session in mine))
            if number % 5 == 2:
                await world.database.pool.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid <> 0"
                )
        await world.all_delivered()
        await eventually(lambda: asyncio.sleep(0, len(relay.partitions)), PARTITIONS)
    assert world.first_seen() == {session: list(range(1, 21)) for session in mine}


async def test_relays_share_fairly_and_take_over_from_one_that_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.05)
    mine = await world.new_sessions(10)
    async with world.relay() as first:
        await eventually(lambda: asyncio.sleep(0, len(first.partitions)), PARTITIONS)
        async with world.relay() as second, world.relay() as third:
            relays = (first, second, third)

            async def shares() -> list[int]:
                return sorted(len(one.partitions) for one in relays)

            await eventually(shares, [4, 6, 6])
            assert frozenset().union(*(one.partitions for one in relays)) == frozenset(range(PARTITIONS))
            for number in range(10):
                await asyncio.gather(*(world.emit(session, str(number)) for session in mine))
            await world.all_delivered()
        await eventually(lambda: asyncio.sleep(0, len(first.partitions)), PARTITIONS)
        await asyncio.gather(*(world.emit(session, "last") for session in mine))
        await world.all_delivered()
    assert world.first_seen() == {session: list(range(1, 12)) for session in mine}


@asynccontextmanager
async def a_full_queue(world: World, pattern: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """A queue that gets what matches and has room for nothing; until what is given is called."""
    connection = await aio_pika.connect(world.url or "")
    try:
        queue = await (await connection.channel()).declare_queue(
            exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"}
        )
        await queue.bind(world.exchange, pattern)
        yield lambda: queue.unbind(world.exchange, pattern)
    finally:
        await connection.close()


async def test_what_a_full_queue_does_not_take_is_tried_again_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(doubts, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(doubts, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(doubts, "TRIES", 1000)  # however long it takes until there is room
    full, other = await world.new_sessions(2)
    async with a_full_queue(world, "runner.activity.#") as has_room, world.relay():
        for number in range(3):
            await world.emit(full, str(number))
        await eventually(lambda: world.count("attempts >= 3"), 1)  # those behind it have not been tried as often
        assert await world.count("delivered OR dead") == 0
        async with world.database.transaction("test") as transaction:
            transaction.emit(NewEvent(other, "ended", "session.ended", "site", {}))
        await eventually(lambda: world.count("delivered"), 1)  # another session is not held up
        await has_room()
        await world.all_delivered()
    assert await world.count("dead OR error IS NOT NULL") == 0
    assert world.first_seen() == {full: [1, 2, 3], other: [1]}


async def test_what_a_queue_never_takes_is_kept_alerted_and_sent_again_when_people_say_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(doubts, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(doubts, "LONGEST_PAUSE", 0.02)
    (session,) = await world.new_sessions(1)
    async with a_full_queue(world, "runner.activity.#") as has_room, world.relay():
        await world.emit(session, "refused")
        await eventually(lambda: world.count("dead"), 1)
        await world.emit(session, "tried once")
        await eventually(lambda: world.count("dead"), 2)
        rows = await world.fetch("SELECT event_id::text, error, attempts, delivered FROM outbox WHERE dead ORDER BY id")
        assert [(row["attempts"], row["delivered"]) for row in rows] == [(doubts.TRIES, False), (1, False)]
        assert "did not accept" in rows[0]["error"]
        async with world.database.transaction("test") as transaction:
            assert await events.revive(transaction.connection) == 2
        await eventually(lambda: world.count("dead"), 2)  # for the queue is as full as before
        await has_room()
        await world.emit(session, "accepted")
        await world.all_delivered()
        told = [one["data"]["events"] for one in world.received if one["type"] == "system.alert"]
        assert sorted(told) == sorted([[row["event_id"]] for row in rows] * 2)
        async with world.database.transaction("test") as transaction:
            assert await events.revive(transaction.connection) == 2
        await world.all_delivered()
        assert await world.count("dead") == 0
    arrived = [event["data"]["key"] for event in world.received if event["type"] == "runner.activity"]
    assert arrived[-3:] == ["accepted", "refused", "tried once"]


async def test_a_type_of_event_that_only_newer_daemons_know_is_relayed_too(world: World) -> None:
    """Another host may be of the next version already."""
    (session,) = await world.new_sessions(1)
    await world.emit(session, "known")
    async with world.database.transaction("test") as transaction:
        await transaction.connection.execute(
            "WITH newer AS (INSERT INTO events (id, session_id, sequence, key, type, project, time, data, signature)"
            " SELECT gen_random_uuid(), session_id, 2, 'newer', 'runner.moved', project, time, data, signature"
            " FROM events RETURNING id)"
            " INSERT INTO outbox (event_id, partition) SELECT newer.id, partition FROM newer, outbox"
        )
        await transaction.connection.execute("UPDATE sessions SET last_sequence = 2")
    await world.emit(session, "after")
    async with world.relay():
        await world.all_delivered()
    assert [event["type"] for event in world.received] == ["runner.activity", "runner.moved", "runner.activity"]


async def test_an_event_too_large_for_the_broker_is_found_among_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session,) = await world.new_sessions(1)
    for number in range(5):
        await world.emit(session, str(number))
    async with world.database.transaction("test") as transaction:
        # RabbitMQ takes at most 128 MB by default; beyond, it closes the channel.
        transaction.emit(NewEvent(session, "huge", "runner.activity", "site", {"text": "x" * (135 * 1024**2)}))
    await world.emit(session, "after")
    async with world.relay():
        await world.all_delivered()
    assert await world.count("dead") == 1
    sequences = world.first_seen()[session]
    assert sequences == [1, 2, 3, 4, 5, 7]
