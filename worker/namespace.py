"""Prepare the Temporal namespace: retention and search attributes. Repeating it changes nothing."""

import asyncio
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore.errors import ServerAway
from stratavore.search_attributes import AGENT, HOST, PROJECT, STATE

RETENTION = timedelta(days=30)
PATIENCE_SECONDS = 30.0
_NOT_YET = frozenset(
    {RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
)
"""What a server says that has just been started, or knows of a new namespace in part only."""
_NAMES = (PROJECT.name, STATE.name, AGENT.name, HOST.name)


async def prepare(client: Client) -> None:
    """Make the namespace usable: it exists, and knows our search attributes.

    Raises:
        ServerAway: the server did not make it usable in time, or refuses to.
    """
    reason = f"the namespace {client.namespace} did not become usable"
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _namespace(client)
            await _search_attributes(client)
    except (TimeoutError, RPCError) as error:
        raise ServerAway(
            server="Temporal",
            address=client.service_client.config.target_host,
            reason=f"{reason}: {error}" if isinstance(error, RPCError) else reason,
            hint="Look at its log below the state directory",
        ) from error


async def _namespace(client: Client) -> None:
    registered = False
    while True:
        try:
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
            return
        except RPCError as error:
            if error.status not in _NOT_YET:
                raise
            if error.status is RPCStatusCode.NOT_FOUND and not registered:
                registered = await _register(client)
        await asyncio.sleep(0.1)


async def _register(client: Client) -> bool:
    """Returns whether it is registered, by whomever."""
    retention = Duration(seconds=int(RETENTION.total_seconds()))
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=retention)
        )
    except RPCError as error:
        if error.status in _NOT_YET:
            return False
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    return True


async def _search_attributes(client: Client) -> None:
    added = False
    while True:
        try:
            known = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=client.namespace)
            )
            missing = [name for name in _NAMES if name not in known.custom_attributes]
            if not missing:
                return
            if not added:
                await client.operator_service.add_search_attributes(
                    AddSearchAttributesRequest(
                        namespace=client.namespace,
                        search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
                    )
                )
                added = True
        except RPCError as error:
            if error.status not in _NOT_YET and error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
        await asyncio.sleep(0.1)
