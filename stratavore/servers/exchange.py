"""Prepare RabbitMQ: the exchange that events go to. Repeating it changes nothing."""

from stratavore.events.broker import EXCHANGE, Broker, BrokerAway
from stratavore.servers.steps import State, Step
from stratavore.tls import TlsFiles

SERVER = "messaging"
HINT = "See rabbitmq in docs/configuration.md"


async def prepare(url: str, tls: TlsFiles, *, change: bool = True, exchange: str = EXCHANGE) -> list[Step]:
    """Make sure of the exchange.

    Args:
        url: of one or several brokers; see :class:`Broker`.
        tls: for ``amqps``.
        change: False: look only.
        exchange: its name, for tests that share a server.

    Raises:
        ServerAway: no address can be used; says what to check.
    """
    broker = Broker(lambda: url, exchange=exchange, tls=tls)
    what = f"exchange {exchange}"
    try:
        place, there = await broker.look()
        if there:
            return [Step(SERVER, what, State.FOUND, place)]
        if not change:
            return [Step(SERVER, what, State.TO_MAKE, place)]
        await broker.ready()
        return [Step(SERVER, what, State.MADE, place)]
    except BrokerAway as away:
        raise broker.away(str(away), hint=HINT) from away
    finally:
        await broker.close()
