"""``--servers containers``: in containers of an engine on this machine, which end with the run.

Ports are published on loopback only. If the run is killed, the reaper of testcontainers ends them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
from testcontainers.core.container import DockerContainer

from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.rabbitmq import RabbitmqServer
from stratavore.embedded.temporal import TemporalServer
from stratavore.paths import Home
from tests.support import servers
from tests.support.stacks.stack import Stack

USER = "stratavore"
PASSWORD = "containers"
PATIENCE_SECONDS = 120.0
"""An engine may copy an image before it starts a container of it."""


@contextmanager
def started(homes: Path, images: Mapping[str, str]) -> Iterator[Stack]:
    """Temporal and Postgres are ready, RabbitMQ is on its way."""
    rabbitmq = _container(images["rabbitmq"], RABBITMQ_DEFAULT_USER=USER, RABBITMQ_DEFAULT_PASS=PASSWORD)
    postgres = _container(images["postgres"], POSTGRES_USER=USER, POSTGRES_PASSWORD=PASSWORD)
    postgres.with_command(["postgres", "-c", "max_connections=400"])
    temporal = _container(images["temporal"])
    temporal.with_command(["server", "start-dev", "--ip", "0.0.0.0", "--headless", "--log-level", "error"])
    home = Home(homes)
    with ExitStack() as running:
        amqp = _start(running, rabbitmq, 5672)
        dsn = f"postgresql://{USER}:{PASSWORD}@{LOOPBACK}:{_start(running, postgres, 5432)}/{USER}"
        grpc = _start(running, temporal, 7233)
        servers.run_apart(_until(lambda: _takes_connections(dsn), postgres))
        servers.run_apart(_until(lambda: TemporalServer(home).ready({"grpc": grpc}), temporal))

        def rabbitmq_url() -> str:
            servers.run_apart(_until(lambda: RabbitmqServer(home).ready({"amqp": amqp}), rabbitmq))
            return f"amqp://{USER}:{PASSWORD}@{LOOPBACK}:{amqp}/"

        yield Stack(f"{LOOPBACK}:{grpc}", dsn, rabbitmq_url)


def _container(image: str, **environment: str) -> DockerContainer:
    return DockerContainer(image).with_envs(**environment)


def _start(running: ExitStack, container: DockerContainer, port: int) -> int:
    """Start it, and give the port of loopback where its port is."""
    container.ports[f"{port}/tcp"] = (LOOPBACK,)  # type: ignore[assignment]  # the engine's client takes an address too
    running.enter_context(container)
    return container.get_exposed_port(port)


async def _takes_connections(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True


async def _until(ready: Callable[[], Awaitable[bool]], container: DockerContainer) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await ready():
        container.reload()
        if container.status != "running" or time.monotonic() > deadline:
            words = b"".join(container.get_logs()).decode(errors="replace")[-1000:]
            raise AssertionError(f"{container.image} is {container.status} and not ready: {words}")
        await asyncio.sleep(0.2)
