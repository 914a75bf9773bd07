"""Whether the servers answer: asked again and again, shown as metrics, and said once when it changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from temporalio.client import Client

from stratavore import telemetry
from stratavore.cancelling import strays_fail
from stratavore.events.broker import Broker
from stratavore.snapshot import show, snapshot
from stratavore.store.database import Database

log = logging.getLogger("stratavored")

LOOK_SECONDS = 5.0
"""Between two questions to a server."""
ANSWER_SECONDS = 10.0
"""After which a server that is silent is away."""


class Health:
    """Asks each server something that it answers only if it can do its work."""

    def __init__(self, database: Database, client: Client, broker: Broker) -> None:
        self._database = database
        self._client = client
        self._broker = broker
        self._away: set[str] = set()
        """Servers that did not answer when they were last asked."""

    async def postgres(self) -> None:
        """Ask Postgres for the figures that the metrics show."""
        await self._ask("postgres", self._figures)

    async def temporal(self) -> None:
        """Ask Temporal."""
        await self._ask("temporal", self._client.service_client.check_health)

    async def rabbitmq(self) -> None:
        """Ask RabbitMQ."""
        await self._ask("rabbitmq", self._broker.ready)

    async def _ask(self, server: str, question: Callable[[], Awaitable[object]]) -> None:
        failure = ""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                with strays_fail():
                    await question()
        except Exception as error:
            failure = str(error) or type(error).__name__
        if failure and server not in self._away:
            log.warning("%s does not answer: %s", server, failure)
            self._away.add(server)
        elif not failure and server in self._away:
            log.info("%s answers again", server)
            self._away.discard(server)
        telemetry.show_server(server, up=not failure)

    async def _figures(self) -> None:
        async with self._database.pool.acquire() as connection:
            show(await snapshot(connection))
