"""Signals to the workflows of sessions."""

from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore.models.session import GrantSignal
from stratavore.naming import workflow_id


async def signal(client: Client, session_id: str, name: str, message: Any) -> bool:
    """Signal a session's workflow. Returns False if none is open: it has ended, or was terminated by hand."""
    try:
        await client.get_workflow_handle(workflow_id(session_id)).signal(name, message)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def wake(client: Client, session_id: str) -> None:
    """Have a session look whether it may go on. One that is not told looks by itself after a while."""
    await signal(client, session_id, "grant", GrantSignal())
