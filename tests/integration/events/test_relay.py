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

from stratavore.events import relay as relay_module
from stratavore.events.broker import Broker
from stratavore.events.envelope import NewEvent, verify
from stratavore.events.outbox import PARTITIONS
from stratavore.events.relay import Relay
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
    async def relay(self) -> AsyncIterator[Relay]:
        broker = Broker(lambda: self.url, exchange=self.exchange)
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


async def test_what_the_broker_refuses_is_kept_and_alerted_and_holds_up_nobody(world: World) -> None:
    (session,) = await world.new_sessions(1)
    refusing = await aio_pika.connect(world.url or "")
    try:
        small = await (await refusing.channel()).declare_queue(
            exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"}
        )
        await small.bind(world.exchange, "runner.activity.#")
        async with world.relay():
            await world.emit(session, "refused")
            await eventually(lambda: world.count("dead"), 1)
            await small.unbind(world.exchange, "runner.activity.#")
            await world.emit(session, "accepted")
            await world.all_delivered()
    finally:
        await refusing.close()
    row = await world.database.pool.fetchrow("SELECT error, attempts, delivered FROM outbox WHERE dead")
    assert row is not None
    assert "did not accept" in row["error"]
    assert (row["attempts"], row["delivered"]) == (1, False)
    alert = next(event for event in world.received if event["type"] == "system.alert")
    dead = await world.database.pool.fetchval("SELECT event_id::text FROM outbox WHERE dead")
    assert alert["data"]["events"] == [dead]
    assert world.first_seen()[session][-1] == 2


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
