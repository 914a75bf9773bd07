"""Fixtures for all tests. Servers are real: started when the first test asks, ended with the run."""

import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stratavore.paths import Home
from tests.support import guardian, nursery, order, servers, stacks
from tests.support.daemon import DaemonProcess
from tests.support.hosts import Hosts, several
from tests.support.stacks import Stack


def pytest_addoption(parser: pytest.Parser) -> None:
    stacks.add_options(parser)
    parser.addoption(
        "--temporal",
        default="dev",
        metavar="SERVER",
        help="where workflow tests run: dev (the run's own server), time-skipping, or the address of a server",
    )
    parser.addoption("--systemd", action="store_true", help="also boot a systemd, for tests of the service; as root")


def pytest_configure() -> None:
    """Take signals that whoever started us let ignore (``nohup``, ``&``): our children would ignore them too."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    os.environ["STRATAVORE_CONFIG"] = os.devnull  # not that of whoever runs the tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = order.ordered(items)


# A busy machine is no fault: no example has a deadline.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def homes() -> Iterator[Path]:
    """The directory that holds the state directories of this run."""
    with servers.guarded_directory() as directory, nursery.opened(directory):
        yield directory


@pytest.fixture
async def home(homes: Path) -> AsyncIterator[Home]:
    """An empty state directory; its terminals and servers are ended after the test."""
    made = servers.new_home(homes)
    yield made
    await guardian.clean(made)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, homes: Path) -> Iterator[Stack]:
    """Temporal and Postgres, ready; RabbitMQ perhaps on its way (``rabbitmq_url`` waits)."""
    with stacks.started(request.config, homes) as started:
        yield started


@pytest.fixture(scope="session")
def rabbitmq_url(stack: Stack) -> str:
    """The AMQP URL of a RabbitMQ that takes connections."""
    return stack.rabbitmq_url()


@pytest.fixture(scope="session")
def migrated_template(stack: Stack) -> str:
    """The name of a migrated database that others are copied from."""
    servers.run_apart(servers.make_template(stack))
    return servers.TEMPLATE


@pytest.fixture
async def database(stack: Stack, migrated_template: str) -> AsyncIterator[str]:
    """The DSN of a migrated database of the test's own."""
    async with servers.own_database(stack, migrated_template) as dsn:
        yield dsn


@pytest.fixture
async def namespace(stack: Stack) -> str:
    """A Temporal namespace of the test's own, with the search attributes, at ``stack.temporal_address``."""
    return await servers.new_namespace(stack.temporal_address)


@pytest.fixture
async def daemon_process(home: Home, stack: Stack, database: str, namespace: str) -> AsyncIterator[DaemonProcess]:
    """A daemon that is not started yet, without a broker.

    One that makes its namespace itself waits a second, for which Temporal remembers that there was none.
    """
    made = DaemonProcess(
        home,
        temporal=stack.temporal_address,
        namespace=namespace,
        dsn=database,
        rabbitmq=None,
        host=f"h-{uuid.uuid4().hex[:8]}",
    )
    yield made
    made.kill()


@pytest.fixture
async def daemon(daemon_process: DaemonProcess) -> DaemonProcess:
    """A daemon that answers."""
    await daemon_process.start()
    return daemon_process


@pytest.fixture
async def hosts(homes: Path, stack: Stack, database: str, namespace: str) -> AsyncIterator[Hosts]:
    """Hosts that are made when the test asks for them, on the same servers, without a broker."""
    async with several(homes, temporal=stack.temporal_address, namespace=namespace, dsn=database) as made:
        yield made
