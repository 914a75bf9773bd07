import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.support import servers
from tests.support.sessions import Sessions, host_worker, session_worker
from tests.support.skipping_server import time_skipping
from tests.support.stacks import Stack
from tests.support.world import World


@pytest.fixture(scope="session")
def temporal_address(request: pytest.FixtureRequest) -> str | None:
    """The server that ``--temporal`` names; None: each test starts one that skips time."""
    named: str = request.config.getoption("--temporal")
    if named == "time-skipping":
        return None
    if named == "dev":
        stack: Stack = request.getfixturevalue("stack")
        return stack.temporal_address
    return named


@pytest.fixture
async def client(temporal_address: str | None, homes: Path) -> AsyncIterator[Client]:
    if temporal_address is None:
        async with time_skipping(homes) as environment:
            yield environment.client
    else:
        namespace = await servers.new_namespace(temporal_address)
        yield await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)


@pytest.fixture
async def clock(homes: Path) -> AsyncIterator[WorkflowEnvironment]:
    """A server of the test's own, on which hours are nothing, whatever server the other tests use."""
    async with time_skipping(homes) as environment:
        yield environment


@pytest.fixture
def world(client: Client) -> World:
    """A world whose workers do not run yet."""
    return World(client, host=f"h{uuid.uuid4().hex[:6]}")


@pytest.fixture
async def sessions(world: World) -> AsyncIterator[Sessions]:
    """Sessions of the world, with its workers."""
    async with session_worker(world), host_worker(world):
        yield Sessions(world)


@pytest.fixture
async def patient_sessions(clock: WorkflowEnvironment) -> AsyncIterator[Sessions]:
    """Sessions of a world in which hours are nothing."""
    world = World(clock.client, host=f"h{uuid.uuid4().hex[:6]}")
    async with session_worker(world), host_worker(world):
        yield Sessions(world)
