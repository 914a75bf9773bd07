"""What could harm restored sessions, or be harmed by them: agents that live, workflows, files of later runners."""

from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore import connect, naming
from stratavore.config.settings import Settings
from stratavore.embedded.records import sync_directory
from stratavore.errors import AgentsInTheWay, WorkflowsInTheWay
from stratavore.killpoints import effect
from stratavore.paths import Home, private_directory
from stratavore.runtime.processes import Snapshot, end

GRACE_SECONDS = 10.0
_SESSIONS = f"WorkflowType = '{naming.WORKFLOW}'"


async def end_or_refuse_agents(home: Home, *, end_agents: bool) -> None:
    """See to it that no agent of the state directory lives: it would write beside the one of the restored session.

    Ended ones leave their terminals open, which nobody would close any more, and whose names the next ones may have.

    Raises:
        AgentsInTheWay: some live, and are not to be ended, or do not end.
    """
    now = Snapshot()
    living = [one for found in now.marked(home=home.root).values() for one in found]
    if end_agents:
        living = await end(living, grace=GRACE_SECONDS)
        await end(now.terminals(home.sockets), grace=GRACE_SECONDS)
    if living:
        raise AgentsInTheWay(home=home.root, pids=", ".join(str(one.pid) for one in living))


async def refuse_workflows(settings: Settings) -> None:
    """See to it that a Temporal of one's own knows no session: its workflows would be ahead of the database.

    Raises:
        WorkflowsInTheWay: it knows some.
        ServerAway, RightsMissing: it cannot be asked.
    """
    if not settings.temporal.address:
        return
    client = await connect.temporal(settings.temporal.address, settings.temporal)
    count = await _count(client, settings.temporal.address)
    if count:
        raise WorkflowsInTheWay(
            namespace=settings.temporal.namespace,
            address=settings.temporal.address,
            count=naming.plural(count, "session"),
        )


def put_aside(home: Home, *, temporal: bool) -> Path | None:
    """Put away what later runners left, and the embedded Temporal's data. Nothing is deleted.

    Returns:
        Where it is; None: there was nothing.
    """
    later = [home.runners, *([home.root / "temporal"] if temporal else [])]
    found = [one for one in later if one.is_dir() and any(one.iterdir())]
    if not found:
        return None
    aside = home.root / f"before-restore-{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    with effect("restore.aside"):
        private_directory(aside)
        for one in found:
            one.rename(aside / one.name)
        sync_directory(home.root)
    home.create()
    return aside


async def _count(client: Client, address: str) -> int:
    try:
        return (await client.count_workflows(_SESSIONS)).count
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:  # the namespace is made by the daemon
            return 0
        raise connect.failure(error) or error from error
