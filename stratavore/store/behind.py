"""Writing again what a restored database has forgotten, as others prove it. The caller holds the session's lock."""

from stratavore.models.session import SessionInput
from stratavore.models.states import SessionState
from stratavore.runtime.processes import ProcessIdentity
from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def end_earlier(connection: Connection, session_id: str, generation: int, reason: str) -> None:
    """Record the end of runners before this generation."""
    await connection.execute(SQL.end_earlier, session_id, generation, reason)


async def end(connection: Connection, runner_id: str, reason: str) -> None:
    """Record the end of this runner, if it has none."""
    await connection.execute(SQL.end_this, runner_id, reason)


async def run(
    connection: Connection,
    session_id: str,
    generation: int,
    host: str,
    agent: ProcessIdentity,
    wrapper: ProcessIdentity | None,
) -> None:
    """Record a runner that was launched, dead or alive."""
    await connection.execute(
        SQL.run,
        f"{session_id}.{generation}",
        session_id,
        generation,
        host,
        agent.pid,
        agent.start_ticks,
        wrapper.pid if wrapper else None,
        wrapper.start_ticks if wrapper else None,
        agent.boot_id,
    )


async def show(connection: Connection, session_id: str, generation: int, host: str, state: SessionState) -> None:
    """Show the session as it is."""
    await connection.execute(SQL.show, session_id, generation, host, state)


async def count_on(connection: Connection, session_id: str) -> None:
    """Let the events of a session whose row is new follow those that are recorded of it."""
    await connection.execute(SQL.count_on, session_id)


async def have_project(connection: Connection, start: SessionInput) -> bool:
    """Have the project that a session was started in. Returns False if another one has its name now."""
    spec = start.spec
    await connection.execute(
        SQL.project, start.project_id, start.project, spec.cwd, spec.agent, list(spec.argv), list(spec.directories),
        list(spec.mcp_config),
    )  # fmt: skip
    return bool(await connection.fetchval(SQL.has_project, start.project_id, start.project))
