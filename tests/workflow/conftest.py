import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from stratavore.embedded.stack import EmbeddedStack
from stratavore.models.session import LaunchSpec, Policy, SessionInput
from stratavore.naming import TASK_QUEUE, host_queue, workflow_id
from tests.support.world import World
from workflows.session import SessionWorkflow


class Sessions:
    """Starts session workflows in a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def start(
        self, *, policy: Policy | None = None, prompt: str | None = None
    ) -> WorkflowHandle[SessionWorkflow, str]:
        session = str(uuid.uuid4())
        return await self.world.client.start_workflow(
            SessionWorkflow.run,
            SessionInput(
                session_id=session,
                project_id=str(uuid.uuid4()),
                project="site",
                spec=LaunchSpec(agent="command", argv=("true",), cwd="/", prompt=prompt),
                policy=policy or Policy(),
            ),
            id=workflow_id(session),
            task_queue=TASK_QUEUE,
        )


@pytest.fixture
async def world(client: Client) -> AsyncIterator[World]:
    world = World(client, host=f"h{uuid.uuid4().hex[:6]}")
    shared = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[SessionWorkflow],
        activities=[world.admit, world.place, world.find, world.record, world.refuse],
    )
    host = Worker(
        client,
        task_queue=host_queue(world.host),
        activities=[world.launch, world.supervise, world.stop, world.send],
    )
    async with shared, host:
        yield world


@pytest.fixture
def sessions(world: World) -> Sessions:
    return Sessions(world)


@pytest.fixture
async def client(stack: EmbeddedStack, namespace: str) -> Client:
    return await Client.connect(stack.temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
