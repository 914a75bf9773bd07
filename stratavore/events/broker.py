"""RabbitMQ, as who publishes and who listens sees it. That it is away, for hours even, is normal."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused, ChannelInvalidStateError, ConnectionNotAllowed, InvalidFrameError
from yarl import URL

from stratavore.addresses import shown, split_urls
from stratavore.errors import ServerAway
from stratavore.events.envelope import CONTENT_TYPE, EventRow
from stratavore.events.silence import found_silent
from stratavore.events.topics import LONGEST_KEY, normal
from stratavore.tls import ENDED, TlsFiles, trouble

EXCHANGE = "stratavore.events"

CONNECT_SECONDS = 10.0
HEARTBEAT_SECONDS = 10
START_SECONDS = 20.0
"""RabbitMQ starts slowly: who wants to listen waits this long for it."""
KEPT = "Events are kept meanwhile: stratavore events list"
LONGEST_QUEUE = 100_000
"""Of a listener that does not listen: the oldest events leave its queue then."""

_Away = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


T = TypeVar("T")


class BrokerAway(Exception):
    """There is no connection, or it was lost: nobody knows what became of what was under way."""


class Declined(Exception):
    """The broker could not put this event into all queues that it is for: it may a moment later."""


class Refused(Exception):
    """The broker never takes this event."""


class ChannelRefused(Refused):
    """The broker closed the channel over something that was under way: this event, if it was alone."""


class Broker:
    """The exchange ``stratavore.events``. Connects when it is needed, and again after a loss.

    Args:
        url: Gives the AMQP URL of now, or None if there is no RabbitMQ. Several (the nodes of a cluster) have
            commas between them; the first that answers is taken.
        exchange: Its name, for tests that share a server.
        tls: What ``amqps`` needs; None: what this machine trusts.
    """

    def __init__(self, url: Callable[[], str | None], *, exchange: str = EXCHANGE, tls: TlsFiles | None = None) -> None:
        self._url = url
        self._name = exchange
        self._tls = tls or TlsFiles()
        self._connecting = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    async def ready(self) -> None:
        """Make sure that there is a connection and a channel to publish on.

        Raises:
            BrokerAway: there is none, and none can be made now.
        """
        async with self._connecting:
            if self._channel is None or self._channel.is_closed:
                await self.close()
                self._connection, self._channel, self._exchange = await self._connect()

    @property
    def version(self) -> str | None:
        """What the server says of itself; None while there is no connection."""
        transport = self._connection.transport if self._connection else None
        said = transport.connection.server_properties.get("version") if transport else None
        return None if said is None else str(said)

    async def publish(self, event: EventRow) -> None:
        """Publish one event, persistent, and wait for the broker's confirmation, as long as the connection lives.

        Raises:
            BrokerAway: the connection was lost before the confirmation came.
            ChannelRefused: the broker closed the channel over this event, or over another that was under way.
            Declined: the broker's confirmation was a negative one.
            Refused: the broker, or AMQP itself, never takes it.
        """
        exchange = self._exchange
        if exchange is None:
            raise BrokerAway("not connected")
        message = aio_pika.Message(
            event.body(),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.id,
            timestamp=event.time,
            type=event.type,
        )
        if len(event.routing_key) > LONGEST_KEY:
            raise Refused(f"its routing key is longer than {LONGEST_KEY} characters")
        try:
            # Nobody listening is no fault: it is not mandatory that a queue is bound.
            with found_silent():
                await exchange.publish(message, event.routing_key, mandatory=False)
        except DeliveryError as error:
            raise Declined("the broker did not accept it, as when a queue with a limit is full") from error
        except ChannelPreconditionFailed as error:
            raise ChannelRefused(str(error)) from error
        except _Away as error:
            raise BrokerAway(_reason(error)) from error

    async def subscribe(
        self, pattern: str = "#", *, ready: asyncio.Event | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Events as they are delivered from now on, as CloudEvents.

        Args:
            pattern: A topic pattern on routing keys: ``*`` is one word, ``#`` any number of words.
            ready: Set when every event published afterwards will be given.

        Raises:
            ServerAway: RabbitMQ does not answer within some seconds, or the connection was lost.
            InvalidInput: the pattern is too long, or cannot be printed.
        """
        try:
            with found_silent():
                async with self._queue(normal(pattern)) as queue, queue.iterator() as messages:
                    if ready:
                        ready.set()
                    async for message in messages:
                        async with message.process():
                            event = _parsed(message.body)
                        if event is not None:
                            yield event
        except (BrokerAway, *_Away) as error:
            raise self.away(_reason(error)) from error
        raise self.away("the connection was lost")

    async def look(self) -> tuple[str, bool]:
        """The address that answers, and whether the exchange is there; nothing is changed.

        Raises:
            BrokerAway: none answers.
        """
        connection, there, place = await self._reach(self._is_there)
        await _close(connection)
        return place, there

    async def close(self) -> None:
        """Close the connection. The broker can be used again; it connects anew."""
        connection = self._connection
        self._connection = self._channel = self._exchange = None
        if connection is not None:
            await _close(connection)

    async def round_trip(self) -> None:
        """Publish a message that is no event, and take it from a queue made for it.

        Raises:
            BrokerAway: it is refused, or does not come back in time.
        """
        key = f"test.{uuid4()}"
        try:
            with found_silent():
                async with asyncio.timeout(CONNECT_SECONDS), self._queue(key) as queue:
                    await self.ready()
                    assert self._exchange is not None
                    await self._exchange.publish(aio_pika.Message(key.encode(), type="stratavore.test"), key)
                    async with queue.iterator() as messages:
                        async for message in messages:
                            await message.ack()
                            return
        except _Away as error:
            raise BrokerAway(_reason(error)) from error

    @asynccontextmanager
    async def _queue(self, pattern: str) -> AsyncIterator[AbstractQueue]:
        """A queue of its own on a connection of its own, which a slow listener cannot make slow for others."""
        connection, channel, _ = await self._connect_patiently()
        try:
            await channel.set_qos(prefetch_count=100)
            queue = await channel.declare_queue(
                exclusive=True, auto_delete=True, arguments={"x-max-length": LONGEST_QUEUE}
            )
            await queue.bind(self._name, pattern)
            yield queue
        finally:
            await _close(connection)

    async def _connect_patiently(self) -> tuple[AbstractConnection, AbstractChannel, AbstractExchange]:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while True:
            try:
                return await self._connect()
            except BrokerAway:
                if self._url() is None or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.2)

    async def _connect(self) -> tuple[AbstractConnection, AbstractChannel, AbstractExchange]:
        connection, (channel, exchange), _ = await self._reach(self._declare)
        return connection, channel, exchange

    async def _reach(self, use: Callable[[AbstractConnection], Awaitable[T]]) -> tuple[AbstractConnection, T, str]:
        """A connection to the first address where this works, with what it gave, and the address."""
        urls = split_urls(self._url() or "")
        if not urls:
            raise BrokerAway("there is no RabbitMQ")
        failures: dict[str, str] = {}
        for url in urls:
            try:
                return *await self._reach_one(url, use), shown(url)
            except _Away as error:
                failures[shown(url)], last = _reason(error, url), error
        if len(failures) == 1:
            raise BrokerAway(*failures.values()) from last
        raise BrokerAway("; ".join(f"{place}: {reason}" for place, reason in failures.items())) from last

    async def _reach_one(
        self, url: str, use: Callable[[AbstractConnection], Awaitable[T]]
    ) -> tuple[AbstractConnection, T]:
        # Found dead after some seconds, also where no packet says so.
        patient = URL(url).update_query(heartbeat=HEARTBEAT_SECONDS)
        context = self._tls.context() if patient.scheme == "amqps" else None
        async with asyncio.timeout(CONNECT_SECONDS):
            # Not aio_pika.connect(): it keeps the connection that it could not make, and nobody can close that.
            connection = aio_pika.Connection(patient, ssl_context=context)
            try:
                with found_silent():
                    await connection.connect()
                    return connection, await use(connection)
            except BaseException:
                await _close(connection)
                raise

    async def _declare(self, connection: AbstractConnection) -> tuple[AbstractChannel, AbstractExchange]:
        """A channel and the exchange. If it is there it is only looked at, which needs no right to make it."""
        channel = await connection.channel(publisher_confirms=True)
        try:
            return channel, await channel.get_exchange(self._name)
        except ChannelNotFoundEntity:  # which closed the channel
            channel = await connection.channel(publisher_confirms=True)
            return channel, await channel.declare_exchange(self._name, aio_pika.ExchangeType.TOPIC, durable=True)

    async def _is_there(self, connection: AbstractConnection) -> bool:
        channel = await connection.channel()
        try:
            await channel.get_exchange(self._name)
        except ChannelNotFoundEntity:
            return False
        return True

    def away(self, reason: str, *, hint: str = KEPT) -> ServerAway:
        """The error for a person; it names the address, and never a password."""
        return ServerAway(
            server="RabbitMQ",
            address=shown(self._url() or ""),
            reason=reason,
            hint=hint,
        )


async def _close(connection: AbstractConnection) -> None:
    """Close it, so that its finalizer has nothing to do: it would complain in a thread in which no loop runs."""
    try:
        with found_silent():
            async with asyncio.timeout(2):
                await connection.close()
    except _Away:
        pass  # it is gone already
    finally:
        if not connection.is_closed:
            await connection.close()  # only marks it, now that the first attempt is over


def _parsed(body: bytes) -> dict[str, Any] | None:
    """The event in a message; None if somebody else sent something else."""
    try:
        event = json.loads(body)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.get("specversion") == "1.0" else None


def _reason(error: BaseException, url: str = "") -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:.0f} s"
    match error:
        case AuthenticationError() | ProbableAuthenticationError():
            return "it does not take the user or the password of rabbitmq.url"
        case ConnectionNotAllowed() | InvalidFrameError():
            return "it does not let the user in; check the virtual host at the end of rabbitmq.url"
        case ChannelAccessRefused():
            return f"{error}; see 'Rights' in docs/deployment.md"
    if url.startswith("amqps:") and any(word in str(error) for word in ("reset", "unexpectedly closed", "Broken pipe")):
        return ENDED
    return trouble(error) or str(error) or type(error).__name__
