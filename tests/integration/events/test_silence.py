"""A RabbitMQ that falls silent without a word is away like any other: who waits for it is told, and goes on."""

import asyncio

import pytest

from stratavore.errors import ServerAway
from stratavore.events import broker as broker_module
from stratavore.events.broker import Broker, BrokerAway
from tests.integration.events.conftest import Exchange, taken
from tests.integration.events.test_broker import broker as broker
from tests.integration.events.test_broker import event, listening
from tests.integration.events.test_relay import World
from tests.integration.events.test_relay import world as world
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS, until


@pytest.fixture(autouse=True)
def found_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found dead after 6 seconds."""
    monkeypatch.setattr(broker_module, "HEARTBEAT_SECONDS", 1)


async def test_a_publisher_is_told_and_can_go_on(exchange: Exchange) -> None:
    queue = await exchange.queue("#")
    async with Proxy.before(exchange.url) as proxy:
        broker = Broker(lambda: proxy.url, exchange=exchange.name)
        await broker.ready()
        await broker.publish(event(1))
        proxy.lose()
        async with asyncio.timeout(PATIENCE_SECONDS):
            # Each in a task of the test's own: they are not to be cancelled.
            answers = await asyncio.gather(*(broker.publish(event(2)) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [BrokerAway] * 3
        proxy.go_on()
        await broker.ready()
        await broker.publish(event(3))
        await broker.close()
    assert {int(one["sequence"]) for one in await taken(queue)} >= {1, 3}


async def test_a_listener_is_told(exchange: Exchange, broker: Broker) -> None:
    async with Proxy.before(exchange.url) as proxy:
        far = Broker(lambda: proxy.url, exchange=exchange.name)
        async with listening(far) as listener:
            await broker.publish(event())
            await until(lambda: listener.heard, what="the event")
            proxy.lose()
            with pytest.raises(ServerAway, match="RabbitMQ cannot be reached"):
                await asyncio.wait_for(listener.task, PATIENCE_SECONDS)


async def test_who_is_cancelled_meanwhile_ends(exchange: Exchange) -> None:
    async with Proxy.before(exchange.url) as proxy:
        broker = Broker(lambda: proxy.url, exchange=exchange.name)
        await broker.ready()
        proxy.hold()
        publishing = asyncio.create_task(broker.publish(event()))
        await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await broker.publish(event())
        proxy.go_on()
        await broker.close()


async def test_a_relay_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    (session,) = await world.new_sessions(1)
    async with Proxy.before(world.url) as proxy:
        world.url = proxy.url
        async with world.relay():
            await world.emit(session, "before")
            await world.all_delivered()
            proxy.lose()
            await world.emit(session, "while it is silent")
            await until(lambda: "RabbitMQ is away" in caplog.text, what="that it is noticed")
            proxy.go_on()
            await world.emit(session, "after")
            await world.all_delivered()
    assert world.first_seen() == {session: [1, 2, 3]}
