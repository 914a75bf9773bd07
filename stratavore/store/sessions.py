"""Sessions: opening, changing state, looking."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from stratavore import quotas
from stratavore.models.session import LaunchSpec
from stratavore.models.states import SessionState
from stratavore.models.views import SessionName, SessionView
from stratavore.store import limits
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

MOST_NAMES = 1000
"""Names in one list: more than a person looks through."""
_LOWEST = "00000000-0000-0000-0000-000000000000"
_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"


class Standing(NamedTuple):
    """A session's state, and the generation of its current or last runner."""

    state: SessionState
    generation: int


async def open_session(
    connection: Connection, session_id: str, project_id: str, spec: LaunchSpec, incarnation: str
) -> bool:
    """Write the row of a session that a workflow owns and wants to run. Returns False if it says so already.

    A new one has the limits that it is launched with; of one that there was, people have changed them since.
    """
    opened = await connection.fetchrow(
        SQL.open,
        session_id,
        project_id,
        spec.agent,
        spec.model,
        list(spec.argv),
        spec.cwd,
        incarnation,
        # What an agent without a terminal is asked is what it runs for: asked again, it is told again.
        spec.model_dump(mode="json", exclude=None if spec.headless else {"prompt"}),
        spec.failover,
    )
    if opened and opened["new"]:
        await limits.begin(connection, session_id, spec.limits)
    return opened is not None


async def explain(connection: Connection, session_id: str, generation: int, reason: str) -> None:
    """Say why a runner could not be started yet."""
    await connection.execute(SQL.explain, session_id, generation, reason)


async def explain_waiting(connection: Connection, session_id: str, reason: str) -> None:
    """Say why a session that holds a slot has no runner."""
    await connection.execute(SQL.explain_waiting, session_id, reason)


async def launched_with(connection: Connection, session_id: str) -> LaunchSpec:
    """What the session was launched with, without its prompt."""
    return LaunchSpec.model_validate(await connection.fetchval(SQL.launched_with, session_id))


async def follow(connection: Connection, runner_id: str, agent_session_id: str) -> None:
    """The agent of the session's current runner is in this conversation of its own now."""
    await connection.execute(SQL.follow, runner_id, agent_session_id)


async def agent_session_id(connection: Connection, session_id: str) -> str:
    """The agent's own id of the session's conversation."""
    found: str = await connection.fetchval(SQL.agent_session_id, session_id)
    return found


async def lock(connection: Connection, session_id: str) -> bool:
    """Let the transaction be the only one that changes this session. Returns False if it has no row.

    Comes before the lock of admission and before rows of runners; of several sessions in the order of their ids. What
    has to be true together is read in a later statement: this one's own snapshot is older than the lock.
    """
    return await connection.fetchval(SQL.lock, session_id) is not None


async def set_state(connection: Connection, session_id: str, state: SessionState, reason: str | None) -> None:
    """Show a new state, with its reason."""
    await connection.execute(SQL.set_state, session_id, state, reason)


async def run(connection: Connection, session_id: str, generation: int) -> bool:
    """Show ``running``. Returns False if the generation is not the current one any more."""
    return await connection.fetchval(SQL.run, session_id, generation) is not None


async def views(
    connection: Connection,
    *,
    ids: Sequence[str] | None = None,
    project: str | None = None,
    ended: bool = False,
) -> list[SessionView]:
    """Sessions in the order of their creation; ended ones only if asked for."""
    rows = await connection.fetch(SQL.views, ids, project, ended)
    return [_view(as_dict(row)) for row in rows]


async def state_of(connection: Connection, session_id: str) -> SessionState | None:
    """The state of one session, cheaply; None if there is no row yet."""
    found = await standing(connection, session_id)
    return found.state if found else None


async def standing(connection: Connection, session_id: str) -> Standing | None:
    """How one session stands, cheaply; None if there is no row yet."""
    row = await connection.fetchrow(SQL.standing, session_id)
    return Standing(SessionState(row["state"]), row["generation"]) if row else None


async def matching(connection: Connection, prefix: str) -> list[str]:
    """Ids of at most six sessions that begin with ``prefix``, newest first."""
    low, high = (prefix + rest[len(prefix) :] for rest in (_LOWEST, _HIGHEST))
    try:
        first, last = UUID(low), UUID(high)
    except ValueError:
        return []
    if str(first) != low:  # braces, dashes elsewhere: no id is written so
        return []
    return [row["session_id"] for row in await connection.fetch(SQL.matching, first, last)]


async def live_names(connection: Connection) -> list[SessionName]:
    """What the newest live sessions can be called, cheaply."""
    return [SessionName.model_validate(as_dict(row)) for row in await connection.fetch(SQL.live_names, MOST_NAMES)]


def _view(row: dict[str, Any]) -> SessionView:
    """One that waits in line, and of which nothing else is said, waits for a limit."""
    held_up = row.pop("held_up")
    if held_up and row["reason"] is None:
        row["reason"] = quotas.waits_for(held_up["name"], held_up["used"], held_up["value"], held_up["scope"])
    return SessionView.model_validate(row)
