"""What holds sessions: limits that put them away, and let them go on by themselves."""

from stratavore.events.envelope import NewEvent
from stratavore.models.session import Hold
from stratavore.store import accounts, budgets, limits
from stratavore.store.connection import Connection
from stratavore.store.queries import load

SQL = load(__file__)


async def holding(connection: Connection, session_id: str) -> Hold | None:
    """What holds a session now; None: it may wait for a slot."""
    return (
        await budgets.holding(connection, session_id)
        or await limits.holding(connection, session_id)
        or await accounts.holding(connection, session_id)
    )


async def told(connection: Connection, event: NewEvent) -> bool:
    """Whether a session has been held since by what the event tells: it asked again, and nothing is new."""
    return bool(await connection.fetchval(SQL.told, event.session_id, event.type, event.data["cause"]))


async def pass_by(connection: Connection, session_id: str) -> Hold | None:
    """Let a session go on past what holds it. Returns what that was."""
    passed = await holding(connection, session_id)
    if passed:
        await budgets.pass_by(connection, session_id)
        await accounts.pass_by(connection, session_id)
    return passed


async def free(connection: Connection) -> list[str]:
    """Sessions that were held and that nothing holds any more, in the order in which they were put away."""
    return [row["session_id"] for row in await connection.fetch(SQL.free)]
