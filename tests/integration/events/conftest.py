"""What happened, on a real Postgres and a real RabbitMQ."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

from stratavore.events.broker import Broker
from stratavore.events.envelope import EventRow, NewEvent
from stratavore.events.outbox import append
from stratavore.launch_options import LaunchOptions
from stratavore.models.session import LaunchSpec
from stratavore.store import projects, sessions
from stratavore.store.database import Database

KEY = b"k" * 32


class Record:
    """A database in which events are recorded."""

    def __init__(self, dsn: str, database: Database) -> None:
        self.dsn = dsn
        self.database = database

    async def new_sessions(self, count: int = 1) -> list[str]:
        """Rows of sessions, in a project of their own. Returns their ids."""
        made = [str(uuid.uuid4()) for _ in range(count)]
        async with self.database.transaction("test") as transaction:
            project = await projects.create(transaction.connection, f"p{made[0][:8]}", "/", "command", LaunchOptions())
            assert project is not None
            spec = LaunchSpec(agent="command", argv=("true",), cwd="/")
            for session in made:
                await sessions.open_session(transaction.connection, session, project.project_id, spec, "1")
        return made

    async def append(self, *events: NewEvent) -> list[EventRow]:
        """Record events in a transaction of their own. Returns the new ones."""
        async with self.database.pool.acquire() as connection, connection.transaction():
            return await append(connection, events, key=KEY)

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Ask the database directly."""
        found: list[asyncpg.Record] = await self.database.pool.fetch(statement, *values)
        return found

    async def last_sequences(self) -> dict[str, int]:
        """What each session's row says of its newest event."""
        found = await self.fetch("SELECT id::text, last_sequence FROM sessions")
        return {row["id"]: row["last_sequence"] for row in found}

    async def rows(self) -> list[EventRow]:
        """All events in the order of the outbox, as a relay reads them."""
        found = await self.fetch(
            "SELECT events.id::text, session_id::text, sequence, key, type, project, time, data, signature"
            " FROM outbox JOIN events ON events.id = event_id ORDER BY outbox.id"
        )
        return [EventRow(**dict(row)) for row in found]


def happened(session: str | None, key: str, **data: Any) -> NewEvent:
    """Something small that happened to a session, or an alert about the system."""
    if session:
        return NewEvent(session, key, "runner.activity", "site", data)
    return NewEvent(None, key, "system.alert", "", {"severity": "error"} | data)


def orders(rows: Sequence[EventRow]) -> dict[str, list[int]]:
    """The sequence numbers of each session, in the order of the rows."""
    found: dict[str, list[int]] = {}
    for row in rows:
        if row.session_id:
            found.setdefault(row.session_id, []).append(row.sequence)
    return found


class Exchange:
    """An exchange of the test's own, a broker that publishes there, and queues."""

    def __init__(self, url: str, broker: Broker, exchange: AbstractExchange, channel: AbstractChannel) -> None:
        self.url = url
        self.name = exchange.name
        self.broker = broker
        self._exchange = exchange
        self._channel = channel

    async def queue(self, pattern: str, arguments: Mapping[str, Any] | None = None) -> AbstractQueue:
        """A queue that gets what matches."""
        made = await self._channel.declare_queue(exclusive=True, arguments=dict(arguments or {}))
        await made.bind(self._exchange, pattern)
        return made


async def taken(queue: AbstractQueue) -> list[dict[str, Any]]:
    """What a queue holds now."""
    found = []
    while message := await queue.get(fail=False, no_ack=True):
        found.append(json.loads(message.body))
    return found


@pytest.fixture
async def exchange(rabbitmq_url: str) -> AsyncIterator[Exchange]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    connection = await aio_pika.connect(rabbitmq_url)
    channel = await connection.channel()
    declared = await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
    broker = Broker(lambda: rabbitmq_url, exchange=name)
    yield Exchange(rabbitmq_url, broker, declared, channel)
    await broker.close()
    await declared.delete(if_unused=False)
    await connection.close()


@pytest.fixture
async def record(database: str) -> AsyncIterator[Record]:
    opened = await Database.open(database, KEY)
    yield Record(database, opened)
    await opened.close()
