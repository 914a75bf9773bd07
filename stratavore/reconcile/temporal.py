"""The workflows that Temporal has open, and how those ended that it has not."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.models.session import SessionInput
from stratavore.models.states import SessionState
from stratavore.search_attributes import STATE

_AT_ONCE = 20
_FIRST_TASK = 3
"""Events of a history before its first task is done."""
_PREFIX = naming.workflow_id("")
_OPEN = f"WorkflowType = '{naming.WORKFLOW}' AND ExecutionStatus = 'Running'"


@dataclass(frozen=True)
class Closed:
    """A session's workflow that is not open. Without a status, Temporal knows none."""

    status: WorkflowExecutionStatus | None = None
    at: datetime | None = None

    @property
    def completed(self) -> bool:
        """Whether it ended the session in order."""
        return self.status is WorkflowExecutionStatus.COMPLETED

    @property
    def terminated(self) -> bool:
        """Whether a person ended it past the session."""
        return self.status is WorkflowExecutionStatus.TERMINATED


@dataclass(frozen=True)
class Open:
    """A session's workflow that is open, as searches know it: a moment late."""

    started: datetime
    """Its present run."""
    state: SessionState | None
    """What it shows."""


@dataclass(frozen=True)
class Known:
    """What a session's workflow says of it, asked of its owner."""

    status: WorkflowExecutionStatus | None
    """None: Temporal knows no workflow of it."""
    state: SessionState | None
    """What it showed last."""
    pending: frozenset[str]
    """Activities that it waits for: of a supervision the runner's id."""
    first_run: str = ""
    """The id of its first run, which names it in Postgres."""
    events: int = 0
    """Length of its present run's history."""

    @property
    def open(self) -> bool:
        """Whether it decides for the session."""
        return self.status is WorkflowExecutionStatus.RUNNING

    @property
    def completed(self) -> bool:
        """Whether it ended the session in order."""
        return self.status is WorkflowExecutionStatus.COMPLETED

    @property
    def begun(self) -> bool:
        """Whether a worker has taken it: its first step is the session's row."""
        return self.events > _FIRST_TASK or self.acted

    @property
    def acted(self) -> bool:
        """Whether it has gone beyond its first step for sure."""
        return bool(self.pending) or self.state not in (None, SessionState.QUEUED)

    @property
    def waits(self) -> bool:
        """Whether it is open, and waits for people only."""
        return self.open and not self.pending


async def open_sessions(client: Client) -> dict[str, Open]:
    """Sessions with an open workflow."""
    return {
        session: Open(one.start_time, _state(one))
        async for one in client.list_workflows(_OPEN)
        if (session := _session_of(one.id))
    }


async def known(client: Client, session_id: str) -> Known:
    """What the session's workflow says of it.

    Raises:
        RPCError: it cannot be told.
    """
    try:
        found = await client.get_workflow_handle(naming.workflow_id(session_id)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Known(None, None, frozenset())
        raise
    raw = found.raw_description
    return Known(
        found.status,
        _state(found),
        frozenset(one.activity_id for one in raw.pending_activities),
        raw.workflow_execution_info.first_run_id,
        found.history_length,
    )


async def all_known(client: Client, session_ids: Iterable[str]) -> dict[str, Known]:
    """The same of several."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(session_id: str) -> tuple[str, Known]:
        async with gate:
            return session_id, await known(client, session_id)

    return dict(await asyncio.gather(*(ask(one) for one in session_ids)))


async def started_with(client: Client, session_id: str) -> SessionInput:
    """What the present run of the session's workflow was started with.

    Raises:
        RPCError: it cannot be told.
    """
    handle = client.get_workflow_handle(naming.workflow_id(session_id))
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (start,) = await client.data_converter.decode(payloads, [SessionInput])
        assert isinstance(start, SessionInput)
        return start
    raise LookupError(f"the workflow of the session {session_id} has no history")


def _state(workflow: WorkflowExecution) -> SessionState | None:
    """What it shows; None: nothing, or a state that only another version knows."""
    shown = workflow.typed_search_attributes.get(STATE)
    return SessionState(shown) if shown in set(SessionState) else None


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
