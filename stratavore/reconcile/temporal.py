"""The workflows that Temporal has open, and how those ended that it has not."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming

_AT_ONCE = 20
_PREFIX = naming.workflow_id("")
_OPEN = f"WorkflowType = '{naming.WORKFLOW}' AND ExecutionStatus = 'Running'"


@dataclass(frozen=True)
class Closed:
    """A session's workflow that is not open. Without a status, Temporal knows none."""

    status: WorkflowExecutionStatus | None = None
    at: datetime | None = None

    @property
    def terminated(self) -> bool:
        """Whether a person ended it past the session."""
        return self.status is WorkflowExecutionStatus.TERMINATED


async def open_sessions(client: Client) -> dict[str, datetime]:
    """Sessions with an open workflow, as searches know them, each with its run's start. They know it a moment late."""
    return {session: one.start_time async for one in client.list_workflows(_OPEN) if (session := _session_of(one.id))}


async def closed(client: Client, session_id: str) -> Closed | None:
    """How the session's workflow ended, asked of its owner; None: it is open.

    Raises:
        RPCError: it cannot be told.
    """
    try:
        found = await client.get_workflow_handle(naming.workflow_id(session_id)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Closed()
        raise
    if found.status is WorkflowExecutionStatus.RUNNING:
        return None
    return Closed(found.status, found.close_time)


async def all_closed(client: Client, session_ids: Iterable[str]) -> dict[str, Closed]:
    """Of these, those whose workflow is not open."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(session_id: str) -> tuple[str, Closed | None]:
        async with gate:
            return session_id, await closed(client, session_id)

    answers = await asyncio.gather(*(ask(one) for one in session_ids))
    return {session_id: found for session_id, found in answers if found}


def _session_of(workflow: str) -> str | None:
    """The session of a workflow's id; None: it is none of ours."""
    try:
        return str(UUID(workflow.removeprefix(_PREFIX))) if workflow.startswith(_PREFIX) else None
    except ValueError:
        return None
