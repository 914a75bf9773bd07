"""A consumer of events as a stranger would write one: a durable queue, and a connection that it makes again."""

import asyncio
import json
import time
from contextlib import suppress

import aio_pika
from aio_pika.exceptions import AMQPError
from aiormq.exceptions import ChannelInvalidStateError

from stratavore.events.broker import EXCHANGE
from tests.chaos.harness.record import Event, Record
from tests.chaos.harness.servers import Servers

QUEUE = "chaos"
_AWAY = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, RuntimeError)


class Listener:
    """Keeps what it received, in the order of receipt."""

    def __init__(self, servers: Servers, record: Record) -> None:
        self._servers = servers
        self._record = record
        self.bound = asyncio.Event()
        """The queue is there: what is published from now on is kept for us, whether we listen or not."""

    async def listen(self) -> None:
        """Receive until cancelled, over as many connections as it takes."""
        while True:
            with suppress(*_AWAY):
                await self._receive()
            await asyncio.sleep(0.3)

    async def _receive(self) -> None:
        url = self._servers.url("rabbitmq")
        if not url:
            return
        connection = aio_pika.Connection(aio_pika.connection.make_url(url, heartbeat=5))
        try:
            async with asyncio.timeout(10):
                await connection.connect()
                channel = await connection.channel()
                queue = await channel.declare_queue(QUEUE, durable=True)
                await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
                await queue.bind(EXCHANGE, "#")
            if not self.bound.is_set():
                self._record.listening_since = time.time()
                self.bound.set()
            async with queue.iterator() as messages:
                async for message in messages:
                    self._keep(json.loads(message.body))
                    await message.ack()
        finally:
            with suppress(*_AWAY):
                async with asyncio.timeout(2):
                    await connection.close()

    def _keep(self, event: dict[str, object]) -> None:
        subject, sequence = event.get("subject"), event.get("sequence")
        self._record.received.append(
            Event(str(event["id"]), str(subject) if subject else None, int(str(sequence)) if sequence else 0)
        )
