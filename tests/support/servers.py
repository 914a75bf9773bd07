"""Real servers for tests: one stack for a run, a database and a namespace for each test that wants one.

Which servers the stack of a run is made of, ``tests/support/stacks`` knows.
"""

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol, TypeVar

import asyncpg
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from stratavore.config.settings import MetricsSettings, PostgresSettings, RabbitmqSettings, Settings, TemporalSettings
from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home
from tests.support.waiting import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]
SEARCH_ATTRIBUTES = ("Project", "State", "Agent", "Host")
TEMPLATE = "stratavore_template"

T = TypeVar("T")


class HasPostgres(Protocol):
    """A stack, as far as databases are made in it."""

    @property
    def postgres_dsn(self) -> str:
        """The DSN of an administrator."""


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from synchronous code, untouched by the event loops of the tests."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def free_ports(*, rabbitmq: bool = True) -> Settings:
    """Settings of a Stratavore that takes no usual port, so that it disturbs none on this machine."""
    return Settings(
        temporal=TemporalSettings(port=0, ui_port=0),
        postgres=PostgresSettings(port=0),
        rabbitmq=RabbitmqSettings(enabled=rabbitmq, port=0, management_port=0),
        metrics=MetricsSettings(port=0),
    )


@contextmanager
def guarded_directory() -> Iterator[Path]:
    """A directory for state directories; what runs for them ends with this process at the latest."""
    directory = Path(mkdtemp(prefix="sv-", dir="/tmp"))
    guardian = subprocess.Popen(
        [sys.executable, "-m", "tests.support.guardian", str(directory)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield directory
    finally:
        guardian.communicate(timeout=120)


def new_home(directory: Path) -> Home:
    """A state directory of its own."""
    home = Home(Path(mkdtemp(dir=directory, prefix="h")))
    home.create()
    return home


async def wait_for_rabbitmq(stack: EmbeddedStack, timeout: float = PATIENCE_SECONDS) -> str:
    """The URL, as soon as RabbitMQ takes connections."""
    deadline = time.monotonic() + timeout
    while True:
        (info,) = (info for info in stack.servers() if info.name == "rabbitmq")
        if info.state == "running":
            assert stack.rabbitmq_url is not None
            return stack.rabbitmq_url
        if info.state == "missing" or time.monotonic() > deadline:
            raise AssertionError(f"RabbitMQ is {info.state}: {info.detail}")
        await stack.ensure()
        await asyncio.sleep(0.1)


def dsn_of(stack: HasPostgres, database: str) -> str:
    """The DSN of another database of the stack."""
    return f"{stack.postgres_dsn.rpartition('/')[0]}/{database}"


@asynccontextmanager
async def own_database(stack: HasPostgres, template: str | None = None) -> AsyncIterator[str]:
    """The DSN of a database that is dropped in the end: an empty one, or a copy."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await execute(stack, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    yield dsn_of(stack, name)
    await execute(stack, f"DROP DATABASE {name} WITH (FORCE)")


async def execute(stack: HasPostgres, statement: str) -> None:
    """Run a statement as administrator."""
    connection = await asyncpg.connect(dsn_of(stack, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def make_template(stack: HasPostgres) -> None:
    """A migrated database that each test gets a copy of."""
    from stratavore.store.migrate import migrate

    await execute(stack, f"CREATE DATABASE {TEMPLATE}")
    await migrate(dsn_of(stack, TEMPLATE))
    # It can be copied only while nobody is connected.
    await execute(stack, f"ALTER DATABASE {TEMPLATE} WITH ALLOW_CONNECTIONS false")


async def new_namespace(address: str) -> str:
    """A Temporal namespace with our search attributes, ready for workflows."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    client = await Client.connect(address, namespace=name)
    retention = Duration()
    retention.FromTimedelta(timedelta(days=3))
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    attributes = search_attributes(name)
    # The server learns of a new namespace and of its attributes from caches.
    query = " AND ".join(f"{attribute} = 'x'" for attribute in SEARCH_ATTRIBUTES)
    await _until_accepted(lambda: client.operator_service.add_search_attributes(attributes))
    await _until_accepted(lambda: client.count_workflows(query))
    return name


def search_attributes(namespace: str) -> AddSearchAttributesRequest:
    """The request that makes a namespace know our search attributes."""
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    return AddSearchAttributesRequest(namespace=namespace, search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword))


async def _until_accepted(call: Any, timeout: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            await call()
            return
        except RPCError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)
