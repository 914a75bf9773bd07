"""Bringing a database that was restored from a backup up to what a session's host and workflow know."""

from temporalio.client import Client

from stratavore.errors import StratavoreError
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.states import PUT_AWAY_STATES, SLOTLESS_STATES, SessionState
from stratavore.reconcile.behind import Ahead, state_after
from stratavore.reconcile.here import Here
from stratavore.reconcile.temporal import known, started_with
from stratavore.store import admission, behind, reconcile, sessions
from stratavore.store.database import Transaction
from stratavore.store.reconcile import SessionRow

_REASON = "it had ended when the database was brought up to date"


class ProjectTaken(StratavoreError):
    """The project '{project}' of the session is gone, and another one has its name. End it: {way_out}."""

    code = "project_taken"


async def catch_up(
    transaction: Transaction, client: Client, here: Here, host: str, session: SessionRow, generation: int
) -> tuple[str, ...] | None:
    """Show a session as its host and its workflow know it, whose row is locked.

    Args:
        transaction: that holds the lock.
        client: of Temporal.
        here: what is on this host.
        host: this host's name.
        session: the row.
        generation: of its newest runner here.

    Returns:
        Sessions that got a slot by it; None: Postgres is not behind any more.
    """
    session_id, connection = session.session_id, transaction.connection
    runner_id = f"{session_id}.{generation}"
    runner = await reconcile.runner(connection, runner_id)
    ahead = Ahead(generation, here.agent_lives(runner_id), await known(client, session_id))
    if generation < session.generation or (state := state_after(session, ahead, runner)) is None:
        return None
    await behind.end_earlier(connection, session_id, generation, _REASON)
    agent, wrapper = here.processes_begun(runner_id)
    if state is SessionState.RUNNING and agent:
        # Dead or alive: its end is told to the workflow by who watches it.
        await behind.run(connection, session_id, generation, host, agent, wrapper)
        await reconcile.take_slot(connection, session_id, session.project_id)
    else:
        await behind.end(connection, runner_id, _REASON)
    await behind.show(connection, session_id, generation, host, state)
    return await admission.leave(connection, session_id) if state in SLOTLESS_STATES else ()


async def open_session(transaction: Transaction, client: Client, session_id: str) -> str | None:
    """Write the row of a session again that only its workflow knows. Returns its project; None: there is one.

    Raises:
        ProjectTaken: its project was newer than the backup too, and its name is another one's now.
    """
    connection = transaction.connection
    workflow = await known(client, session_id)
    if not workflow.open or await reconcile.session(connection, session_id):
        return None
    start = await started_with(client, session_id)
    if not await behind.have_project(connection, start):
        raise ProjectTaken(project=start.project, way_out="stratavore reconcile --end-orphans")
    await sessions.open_session(connection, session_id, start.project_id, start.spec, workflow.first_run)
    await behind.count_on(connection, session_id)
    if workflow.state in PUT_AWAY_STATES:
        assert workflow.state is not None
        await sessions.set_state(connection, session_id, workflow.state, None)
    data = {"agent": start.spec.agent, "cwd": start.spec.cwd}
    transaction.emit(NewEvent(session_id, "created", EventType.SESSION_CREATED, start.project, data))
    return start.project
