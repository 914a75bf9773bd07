"""Telling a session's workflow that its runner is lost, when the host that would tell it is not waited for."""

from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.killpoints import effect
from stratavore.models.states import ExitKind
from stratavore.models.steps import Launched, RunnerExit
from stratavore.store.hosts import Dependent

_LAUNCH = "launch"
"""The activity that a session waits for before its runner runs."""


async def tell_lost(client: Client, one: Dependent, reason: str) -> bool:
    """Complete what the session waits for on its host: the supervision, or the launch of its runner.

    That says nothing of the agent, and what it still writes there is counted should the host come back.
    Can be repeated: what was told once is not pending any more. Returns False if nothing waits for it now.
    """
    end = RunnerExit(
        runner_id=one.runner_id, kind=ExitKind.FENCED, at=datetime.now(UTC), lived=timedelta(0), reason=reason
    )
    if await _complete(client, one, one.runner_id, end):
        return True
    try:
        found = await client.get_workflow_handle(naming.workflow_id(one.session_id)).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False  # its workflow was lost as well: `reconcile` starts it again
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return False
    launches = [
        pending.activity_id
        for pending in found.raw_description.pending_activities
        if pending.activity_type.name == _LAUNCH
    ]
    return any([await _complete(client, one, activity_id, Launched(end=end)) for activity_id in launches])


async def _complete(client: Client, one: Dependent, activity_id: str, result: RunnerExit | Launched) -> bool:
    handle = client.get_async_activity_handle(
        workflow_id=naming.workflow_id(one.session_id), run_id=None, activity_id=activity_id
    )
    try:
        with effect("host.give_up"):
            await handle.complete(result)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True
