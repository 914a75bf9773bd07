"""The namespace becomes usable, whoever prepares it, and however often."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from stratavore.errors import ServerAway
from stratavore.servers import namespace
from tests.support.stacks import Stack


async def a_client(stack: Stack) -> Client:
    return await Client.connect(stack.temporal_address, namespace=f"test-{uuid.uuid4().hex[:12]}")


async def test_daemons_that_start_together_prepare_it_once(stack: Stack) -> None:
    client = await a_client(stack)
    await asyncio.gather(*(namespace.prepare(client) for _ in range(3)))
    await namespace.prepare(client)
    request = DescribeNamespaceRequest(namespace=client.namespace)
    found = await client.workflow_service.describe_namespace(request)
    assert found.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=30)


async def test_one_that_does_not_become_usable_is_told_in_one_sentence(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace, "PATIENCE_SECONDS", 0.0)
    client = await a_client(stack)
    with pytest.raises(ServerAway, match=f"Temporal cannot be reached at .*{client.namespace} did not become usable"):
        await namespace.prepare(client)


async def test_a_refusal_is_told_with_its_reason(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "RETENTION", timedelta(seconds=-1))
    with pytest.raises(ServerAway, match=r"did not become usable: .*[Rr]etention"):
        await namespace.prepare(await a_client(stack))
