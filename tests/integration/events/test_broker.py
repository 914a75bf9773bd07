"""Publishing to a real RabbitMQ and listening to it, also when it refuses, breaks off, or is not there."""

import asyncio
import gc
import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import aio_pika
import pytest
from yarl import URL

from stratavore.errors import InvalidInput, ServerAway
from stratavore.events import broker as broker_module
from stratavore.events.broker import Broker, BrokerAway, Declined, Refused
from stratavore.events.envelope import CONTENT_TYPE, EventRow, verify
from stratavore.events.topics import LONGEST_KEY
from tests.integration.events.conftest import KEY, Exchange, taken
from tests.support.proxy import Proxy
from tests.support.waiting import until

PORT = 1  # nobody listens there
SESSION = "1a2b3c4d-0000-4000-8000-000000000001"


def event(sequence: int = 1, type: str = "runner.started", project: str = "site", **data: Any) -> EventRow:
    return EventRow(
        id=str(uuid.uuid4()),
        session_id=SESSION,
        sequence=sequence,
        key=str(sequence),
        type=type,
        project=project,
        time=datetime.now(UTC),
        data=data,
    ).signed(KEY)


class Listener:
    """Collects what a subscription gives, until it ends."""

    def __init__(self, broker: Broker, pattern: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.ready = asyncio.Event()
        self.task = asyncio.create_task(self._listen(broker, pattern))

    async def _listen(self, broker: Broker, pattern: str) -> None:
        async with aclosing(broker.subscribe(pattern, ready=self.ready)) as events:
            async for one in events:
                self.heard.append(one)

    def ids(self) -> list[str]:
        return [one["id"] for one in self.heard]


@asynccontextmanager
async def listening(broker: Broker, pattern: str = "#") -> AsyncIterator[Listener]:
    listener = Listener(broker, pattern)
    await asyncio.wait_for(listener.ready.wait(), 30)
    try:
        yield listener
    finally:
        listener.task.cancel()
        with suppress(asyncio.CancelledError, ServerAway):
            await listener.task


@pytest.fixture
async def broker(exchange: Exchange) -> Broker:
    await exchange.broker.ready()
    return exchange.broker


async def test_a_confirmed_event_lies_in_the_queue_as_it_was_signed(exchange: Exchange, broker: Broker) -> None:
    queue = await exchange.queue("runner.#", {"x-queue-type": "classic"})
    sent = event(text="ü\n")
    await broker.publish(sent)
    message = await queue.get(no_ack=True)
    assert verify(json.loads(message.body), KEY)
    assert message.body == sent.body()
    assert (message.routing_key, message.message_id, message.type) == ("runner.started.site", sent.id, "runner.started")
    assert message.content_type == CONTENT_TYPE
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.timestamp == sent.time.replace(microsecond=0)


async def test_events_published_at_once_stay_in_their_order(exchange: Exchange, broker: Broker) -> None:
    queue = await exchange.queue("#")
    await asyncio.gather(*(broker.publish(event(number)) for number in range(1, 301)))
    assert [int(one["sequence"]) for one in await taken(queue)] == list(range(1, 301))


async def test_that_nobody_listens_is_no_fault(broker: Broker) -> None:
    await broker.publish(event())


async def test_a_full_queue_declines_and_the_next_event_goes_on(exchange: Exchange, broker: Broker) -> None:
    full = await exchange.queue("runner.started.#", {"x-max-length": 1, "x-overflow": "reject-publish"})
    await broker.publish(event(1))
    with pytest.raises(Declined, match="did not accept it"):
        await broker.publish(event(2))
    await broker.publish(event(3, "runner.stopped"))
    assert [int(one["sequence"]) for one in await taken(full)] == [1]
    await broker.publish(event(4))
    assert [int(one["sequence"]) for one in await taken(full)] == [4]


async def test_a_routing_key_that_amqp_cannot_carry_is_refused_before_it_is_sent(
    exchange: Exchange, broker: Broker
) -> None:
    queue = await exchange.queue("#")
    longest = "x" * (LONGEST_KEY - len("runner.started."))
    with pytest.raises(Refused, match="longer than 255"):
        await broker.publish(event(1, project=f"{longest}x"))
    await broker.publish(event(2, project=longest))
    assert [int(one["sequence"]) for one in await taken(queue)] == [2]


async def test_publishing_without_a_connection_says_so(exchange: Exchange) -> None:
    with pytest.raises(BrokerAway, match="not connected"):
        await exchange.broker.publish(event())


async def test_a_publisher_whose_connection_breaks_is_told_and_can_go_on(exchange: Exchange) -> None:
    queue = await exchange.queue("#")
    async with Proxy.before(exchange.url) as proxy:
        broker = Broker(lambda: proxy.url, exchange=exchange.name)
        await broker.ready()
        await broker.publish(event(1))
        under_way = asyncio.gather(*(broker.publish(event(2)) for _ in range(50)), return_exceptions=True)
        await asyncio.sleep(0)  # they are written, and none is confirmed
        proxy.cut()
        answers = await under_way
        assert {type(answer) for answer in answers if answer is not None} == {BrokerAway}
        await until_away(broker)
        await broker.ready()
        await broker.publish(event(3))
        await broker.close()
    sequences = [int(one["sequence"]) for one in await taken(queue)]
    # What was confirmed is there; what was not may be.
    assert (sequences[0], sequences[-1]) == (1, 3)
    assert sequences.count(2) >= answers.count(None)


async def until_away(broker: Broker) -> None:
    """Wait until the broker knows that its connection is lost."""
    async with asyncio.timeout(30):
        while True:
            try:
                await broker.publish(event(3))
            except BrokerAway:
                return


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("#", [1, 2, 3, 4]),
        ("runner.*.site", [1, 3]),
        ("*.*.my%2Esite", [2]),
        ("session.#", [4]),
        ("#.site", [1, 3, 4]),
        (".".join(["#"] * 128), [1, 2, 3, 4]),
    ],
)
async def test_a_listener_hears_what_its_pattern_says(
    exchange: Exchange, broker: Broker, pattern: str, heard: list[int]
) -> None:
    sent = [event(1), event(2, project="my.site"), event(3, "runner.stopped"), event(4, "session.ended")]
    async with listening(broker, pattern) as listener:
        # Twice: what comes wrongly of the first round comes before the end of the second.
        for one in (*sent, *sent):
            await broker.publish(one)
        await until(lambda: len(listener.heard) >= 2 * len(heard), what="the events of the pattern")
    assert [int(one["sequence"]) for one in listener.heard] == heard * 2
    assert all(verify(one, KEY) for one in listener.heard)


async def test_what_others_send_to_the_exchange_is_passed_over(exchange: Exchange, broker: Broker) -> None:
    connection = await aio_pika.connect(exchange.url)
    foreign = await (await connection.channel()).get_exchange(exchange.name)
    try:
        async with listening(broker) as listener:
            for body in (b"", b"\xff", b"[1]", b"{}", b'{"specversion": "0.3"}'):
                await foreign.publish(aio_pika.Message(body), "runner.started.site")
            sent = event()
            await broker.publish(sent)
            await until(lambda: listener.heard, what="the event")
            assert listener.ids() == [sent.id]
    finally:
        await connection.close()


async def test_a_listener_that_is_slow_holds_up_nobody(exchange: Exchange, broker: Broker) -> None:
    ready = asyncio.Event()
    async with aclosing(broker.subscribe(ready=ready)) as slow, listening(broker) as quick:
        first = asyncio.ensure_future(anext(slow))
        await asyncio.wait_for(ready.wait(), 30)
        await asyncio.gather(*(broker.publish(event(number)) for number in range(1, 301)))
        await until(lambda: len(quick.heard) == 300, what="all events at the quick one")
        heard = [await first] + [await anext(slow) for _ in range(299)]
    assert [int(one["sequence"]) for one in heard] == list(range(1, 301))


async def test_a_listener_whose_connection_breaks_is_told(exchange: Exchange, broker: Broker) -> None:
    async with Proxy.before(exchange.url) as proxy:
        far = Broker(lambda: proxy.url, exchange=exchange.name)
        async with listening(far) as listener:
            await broker.publish(event())
            await until(lambda: listener.heard, what="the event")
            proxy.cut()
            with pytest.raises(ServerAway) as raised:
                await asyncio.wait_for(listener.task, 30)
    assert str(raised.value).startswith(f"RabbitMQ cannot be reached at {far_address(proxy)}: ")


def far_address(proxy: Proxy) -> str:
    return proxy.url.rpartition("@")[2].rstrip("/")


async def test_a_listener_leaves_no_queue_behind(exchange: Exchange, broker: Broker) -> None:
    async with listening(broker) as listener:
        await broker.publish(event())
        await until(lambda: listener.heard, what="the event")
    # An exchange with a queue bound to it is not deleted by who asks for an unused one.
    connection = await aio_pika.connect(exchange.url)
    async with connection:
        unused = await (await connection.channel()).get_exchange(exchange.name)
        await unused.delete(if_unused=True)


async def test_a_pattern_that_no_broker_takes_is_refused(broker: Broker) -> None:
    for pattern in ("x" * (LONGEST_KEY + 1), "a\0"):
        with pytest.raises(InvalidInput):
            await anext(broker.subscribe(pattern))


async def test_without_a_rabbitmq_there_is_one_sentence_at_once() -> None:
    broker = Broker(lambda: None)
    with pytest.raises(BrokerAway, match="there is no RabbitMQ"):
        await broker.ready()
    began = monotonic()
    with pytest.raises(ServerAway) as raised:
        await anext(broker.subscribe())
    assert str(raised.value) == (
        "RabbitMQ cannot be reached at no address: there is no RabbitMQ."
        " Events are kept meanwhile: stratavore events list."
    )
    assert monotonic() - began < broker_module.START_SECONDS


async def test_a_rabbitmq_that_does_not_answer_is_waited_for_and_then_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_module, "START_SECONDS", 0.5)
    broker = Broker(lambda: f"amqp://stratavore:hidden@127.0.0.1:{PORT}/")
    with pytest.raises(BrokerAway):
        await broker.ready()
    with pytest.raises(ServerAway) as raised:
        await anext(broker.subscribe())
    assert f"RabbitMQ cannot be reached at 127.0.0.1:{PORT}: " in str(raised.value)
    assert "hidden" not in str(raised.value)


async def test_a_rabbitmq_that_refuses_the_password_is_away(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "START_SECONDS", 0.0)
    wrong = str(URL(exchange.url).with_password("wrong"))
    with pytest.raises(ServerAway) as raised:
        await anext(Broker(lambda: wrong).subscribe())
    assert "wrong" not in str(raised.value)


async def test_a_listener_waits_for_a_rabbitmq_that_is_still_starting(exchange: Exchange, broker: Broker) -> None:
    asked = 0

    def url() -> str:
        nonlocal asked
        asked += 1
        return exchange.url if asked > 3 else f"amqp://127.0.0.1:{PORT}/"

    async with listening(Broker(url, exchange=exchange.name)) as listener:
        await broker.publish(event())
        await until(lambda: listener.heard, what="the event")
    assert asked > 3


async def test_a_broker_tells_its_version_while_it_is_connected(exchange: Exchange) -> None:
    assert exchange.broker.version is None
    await exchange.broker.ready()
    assert exchange.broker.version
    assert exchange.broker.version[0].isdigit()
    await exchange.broker.close()
    assert exchange.broker.version is None


async def _breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.close()


@pytest.fixture
def collected_late(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Garbage is collected only when the test says so, and all of it: no record of a log holds an exception."""
    caplog.set_level(logging.CRITICAL, "aiormq")
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collected_late")
async def test_a_failed_attempt_leaves_nothing_that_complains_when_a_thread_collects_it() -> None:
    """The library's connection closes itself when it is collected, and warns if that is where no loop runs."""
    with pytest.raises(BrokerAway):
        await Broker(lambda: f"amqp://guest:guest@127.0.0.1:{PORT}/").ready()
    await asyncio.to_thread(gc.collect)


async def test_a_connection_that_hangs_is_closed_for_good(exchange: Exchange) -> None:
    async with Proxy.before(exchange.url) as proxy:
        broker = Broker(lambda: proxy.url, exchange=exchange.name)
        await broker.ready()
        connection = broker._connection
        assert connection is not None
        proxy.hold()
        await broker.close()
        assert connection.is_closed
