"""Prepare all servers that the settings name. One that fails does not keep the others from being prepared."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from stratavore import connect
from stratavore.errors import StratavoreError
from stratavore.servers import database, exchange, namespace
from stratavore.servers.steps import State, Step
from stratavore.tls import TlsFiles

if TYPE_CHECKING:
    from stratavore.config.settings import Settings


async def prepare(settings: "Settings", *, change: bool = True) -> AsyncIterator[Step]:
    """Make the servers usable that are not embedded: those are prepared by the daemon that starts them.

    Args:
        settings: name the servers.
        change: False: look only.

    Yields:
        What was found, made or is to be made; the last of a server that cannot be prepared is a failure.
    """
    for server, job in _jobs(settings, change).items():
        try:
            for step in await job():
                yield step
        except StratavoreError as error:
            yield Step(server, "all", State.FAILED, str(error))
        except Exception as error:
            if (failure := connect.failure(error)) is None:
                raise
            yield Step(server, "all", State.FAILED, str(failure))


def _jobs(settings: "Settings", change: bool) -> dict[str, Callable[[], Awaitable[list[Step]]]]:
    jobs: dict[str, Callable[[], Awaitable[list[Step]]]] = {}
    if (dsn := settings.postgres.dsn) is not None:
        jobs[database.SERVER] = lambda: database.prepare(dsn.get_secret_value(), change=change)
    if (url := settings.rabbitmq.url) is not None and settings.rabbitmq.enabled:
        tls = TlsFiles.of(settings.rabbitmq)
        jobs[exchange.SERVER] = lambda: exchange.prepare(url.get_secret_value(), tls, change=change)
    if (address := settings.temporal.address) is not None:

        async def temporal() -> list[Step]:
            return await namespace.prepare(await connect.temporal(address, settings.temporal), change=change)

        jobs[namespace.SERVER] = temporal
    return jobs
