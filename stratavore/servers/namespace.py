"""Prepare the Temporal namespace: retention and search attributes. Repeating it changes nothing.

What is there already needs no rights to make it. Where a server does not let us look (Temporal Cloud keeps the
list of search attributes to administrators), a query that names them tells whether they are known.
"""

import asyncio
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore.errors import NamespaceMissing, RightsMissing, ServerAway
from stratavore.search_attributes import AGENT, HOST, PROJECT, STATE
from stratavore.servers.steps import State, Step

SERVER = "temporal"
RETENTION = timedelta(days=30)
PATIENCE_SECONDS = 30.0
_NOT_YET = frozenset(
    {RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
)
"""What a server says that has just been started, or knows of a new namespace in part only."""
_REFUSED = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED})
_GIVE_RIGHTS = "Give temporal.api_key rights in it"
_NAMES = (PROJECT.name, STATE.name, AGENT.name, HOST.name)


async def prepare(client: Client, *, change: bool = True) -> list[Step]:
    """Make the namespace usable: it exists, and knows our search attributes.

    Args:
        client: of the namespace, existing or not.
        change: False: look only.

    Raises:
        ServerAway: the server did not make it usable in time, or refuses to.
        NamespaceMissing, RightsMissing: an administrator has to do something first.
    """
    reason = f"the namespace {client.namespace} did not become usable"
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            namespace = await _namespace(client, change)
            if namespace.state is State.TO_MAKE:
                return [namespace, Step(SERVER, "search attributes", State.TO_MAKE, ", ".join(_NAMES))]
            return [namespace, await _search_attributes(client, change)]
    except (TimeoutError, RPCError) as error:
        raise ServerAway(
            server="Temporal",
            address=_address(client),
            reason=f"{reason}: {error}" if isinstance(error, RPCError) else reason,
            hint="Look at its log; that of the embedded server is below the state directory",
        ) from error


async def retention(client: Client) -> timedelta:
    """How long the namespace keeps closed workflows.

    Raises:
        RPCError: NOT_FOUND: there is no such namespace.
    """
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return found.config.workflow_execution_retention_ttl.ToTimedelta()


async def missing_attributes(client: Client) -> list[str]:
    """Our search attributes that the namespace does not know.

    Raises:
        RPCError: it does not answer the question.
    """
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status not in _REFUSED:
            raise
        return [name for name in _NAMES if not await _queryable(client, name)]
    return [name for name in _NAMES if name not in known.custom_attributes]


async def _queryable(client: Client, name: str) -> bool:
    try:
        await client.count_workflows(f"{name} = 'x'")
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return False
    return True


async def _namespace(client: Client, change: bool) -> Step:
    registered = False
    while True:
        try:
            kept = await retention(client)
            state = State.MADE if registered else State.FOUND
            return Step(SERVER, f"namespace {client.namespace}", state, f"keeps histories for {kept.days} days")
        except RPCError as error:
            if error.status in _REFUSED:
                raise _rights(client, "it may not be described", _GIVE_RIGHTS) from error
            if error.status not in _NOT_YET:
                raise
            if error.status is RPCStatusCode.NOT_FOUND and not change:
                return Step(SERVER, f"namespace {client.namespace}", State.TO_MAKE, f"for {RETENTION.days} days")
            if error.status is RPCStatusCode.NOT_FOUND and not registered:
                registered = await _register(client)
        await asyncio.sleep(0.1)


async def _register(client: Client) -> bool:
    """Returns whether it is registered, by whomever."""
    kept = Duration(seconds=int(RETENTION.total_seconds()))
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=kept)
        )
    except RPCError as error:
        if error.status in _NOT_YET:
            return False
        if error.status in _REFUSED:
            reason = error.message.rstrip(".") or error.status.name
            raise NamespaceMissing(address=_address(client), namespace=client.namespace, reason=reason) from error
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    return True


async def _search_attributes(client: Client, change: bool) -> Step:
    added = False
    while True:
        missing: list[str] = []
        try:
            missing = await missing_attributes(client)
            if not missing:
                state = State.MADE if added else State.FOUND
                return Step(SERVER, "search attributes", state, ", ".join(_NAMES))
            if not change:
                return Step(SERVER, "search attributes", State.TO_MAKE, ", ".join(missing))
            if not added:
                await client.operator_service.add_search_attributes(
                    AddSearchAttributesRequest(
                        namespace=client.namespace,
                        search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
                    )
                )
                added = True
        except RPCError as error:
            if error.status in _REFUSED and not missing:
                raise _rights(client, "its workflows may not be counted", _GIVE_RIGHTS) from error
            if error.status in _REFUSED:
                raise _rights(client, "search attributes may not be added", _by_hand(client, missing)) from error
            if error.status not in _NOT_YET and error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
        await asyncio.sleep(0.1)


def _by_hand(client: Client, missing: list[str]) -> str:
    words = " ".join(f"--name {name} --type Keyword" for name in missing)
    command = f"temporal operator search-attribute create --namespace {client.namespace} {words}"
    return f"Let an administrator run: {command}"


def _rights(client: Client, reason: str, hint: str) -> RightsMissing:
    role = f"this client of the namespace {client.namespace}"
    return RightsMissing(server="Temporal", address=_address(client), role=role, reason=reason, hint=hint)


def _address(client: Client) -> str:
    return client.service_client.config.target_host
