"""Try the servers: real round trips, each timed, as the daemon makes them. Nothing that is written stays."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
from temporalio.client import Client

from stratavore import connect, naming
from stratavore.addresses import shown
from stratavore.errors import StratavoreError
from stratavore.events.broker import EXCHANGE, Broker, BrokerAway
from stratavore.servers import exchange, namespace, pollers
from stratavore.store import connection as store
from stratavore.store import health
from stratavore.store.migrate import EXTENSION, HEAD, examine
from stratavore.store.queries import load
from stratavore.tls import TlsFiles

if TYPE_CHECKING:
    from stratavore.config.settings import TemporalSettings

SQL = load(__file__)
ANSWER_SECONDS = 10.0

Job = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class Trial:
    """What came of one check."""

    server: str
    """``database``, ``messaging``, ``temporal`` or ``api``."""
    check: str
    ok: bool
    ms: float
    """How long it took, in milliseconds."""
    detail: str
    """What was found, or one sentence that says what is wrong."""


class Failed(Exception):
    """A check that failed for the reason that this says, in one sentence."""


async def timed(server: str, check: str, job: Job) -> Trial:
    """Do a check and time it; whatever goes wrong is its detail."""
    began = monotonic()
    try:
        async with asyncio.timeout(2 * ANSWER_SECONDS):
            ok, detail = True, await job()
    except (StratavoreError, Failed) as error:
        ok, detail = False, str(error)
    except TimeoutError:
        ok, detail = False, f"No answer within {2 * ANSWER_SECONDS:.0f} s."
    except Exception as error:
        ok, detail = False, str(connect.failure(error) or error or type(error).__name__)
    return Trial(server, check, ok, round((monotonic() - began) * 1000, 1), detail)


async def database(dsn: str) -> AsyncIterator[Trial]:
    """Connect, look at version, extension and schema, write and roll back, notify."""
    connections: list[asyncpg.Connection[asyncpg.Record]] = []

    async def enter() -> str:
        try:
            connections.append(await store.connect(dsn))
        except connect.POSTGRES_ERRORS as error:
            raise connect.postgres_refusal(error, dsn) from error
        return f"{shown(dsn)}, {await connections[0].fetchval(SQL.encryption) or 'no TLS'}"

    async def schema() -> str:
        found = await examine(connections[0], dsn)
        if found.schema != HEAD:
            raise Failed(f"The schema is {found.schema or 'not there'} and has to be {HEAD}. Run: stratavore setup.")
        vector = (await health.versions(connections[0])).pgvector
        return f"Postgres {found.version}, {EXTENSION} {vector}, schema {HEAD}"

    async def write() -> str:
        refused = await connections[0].fetchval(SQL.refused)
        if refused:
            raise Failed(f"The role may not change {', '.join(refused)}. See 'Rights' in docs/deployment.md.")
        transaction = connections[0].transaction()
        await transaction.start()
        try:
            key = uuid4()
            await connections[0].execute(SQL.write, key, str(key))
            await connections[0].fetchval(SQL.change, key)
            await connections[0].execute(SQL.remove, key)
        finally:
            await transaction.rollback()
        return "written, changed, deleted, rolled back"

    async def notify() -> str:
        heard = asyncio.Event()
        channel = f"test_{uuid4().hex}"
        await connections[0].add_listener(channel, lambda *_: heard.set())
        await connections[0].execute(SQL.notify, channel)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await heard.wait()
        except TimeoutError:
            raise Failed("A notification did not come back. Connect to Postgres itself, not to a pooler.") from None
        return "heard"

    try:
        async for trial in _in_order("database", connect=enter, schema=schema, write=write, notify=notify):
            yield trial
    finally:
        for one in connections:
            await one.close()


async def messaging(url: str, tls: TlsFiles, *, exchange_name: str = EXCHANGE) -> AsyncIterator[Trial]:
    """Connect, look at the exchange, publish with confirmation, and take it from a queue."""
    broker = Broker(lambda: url, exchange=exchange_name, tls=tls)

    async def enter() -> str:
        place, _ = await broker.look()
        await broker.ready()  # makes the exchange if it is missing, as the daemon does with its first event
        return f"{place}, exchange {exchange_name}"

    async def round_trip() -> str:
        await broker.round_trip()
        return "published, confirmed, received"

    async def told(job: Job) -> str:
        try:
            return await job()
        except BrokerAway as away:
            raise broker.away(str(away), hint=exchange.HINT) from away

    try:
        async for trial in _in_order(
            "messaging", connect=lambda: told(enter), **{"round trip": lambda: told(round_trip)}
        ):
            yield trial
    finally:
        await broker.close()


async def temporal(address: str, settings: "TemporalSettings", host: str) -> AsyncIterator[Trial]:
    """Connect, look at the namespace and its search attributes, and for workers."""
    clients: list[Client] = []

    async def enter() -> str:
        clients.append(await connect.temporal(address, settings))
        return f"{address}, {'TLS' if settings.uses_tls else 'no TLS'}"

    async def prepared() -> str:
        missing = [step for step in await namespace.prepare(clients[0], change=False) if step.state != "found"]
        if missing:
            raise Failed(f"The {missing[0].what} is missing. Run: stratavore setup.")
        kept = await namespace.retention(clients[0])
        return f"{settings.namespace}, keeps histories for {kept.days} days, search attributes known"

    async def workers() -> str:
        (client,) = clients
        queue, launches = naming.host_queue(host), naming.launch_queue(host)
        for name, found in (
            (naming.TASK_QUEUE, await pollers.of_sessions(client)),
            (queue, await pollers.of_host(client, host)),
            (launches, await pollers.of_launches(client, host)),
        ):
            if not found:
                raise Failed(f"Nobody works on the task queue {name}. Start a daemon: stratavore daemon start.")
        return f"{naming.TASK_QUEUE}, {queue} and {launches} are worked on"

    async for trial in _in_order("temporal", connect=enter, namespace=prepared, workers=workers):
        yield trial


async def _in_order(server: str, **jobs: Job) -> AsyncIterator[Trial]:
    """The checks of one server; those after one that failed would only fail for the same reason."""
    for name, job in jobs.items():
        trial = await timed(server, name, job)
        yield trial
        if not trial.ok:
            return
