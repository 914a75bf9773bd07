"""Limits of memory that are measured to be passed. Everything here runs inside the caller's transaction."""

from dataclasses import dataclass
from datetime import timedelta

from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


@dataclass(frozen=True)
class Measured:
    """A limit with what runners were measured to use of it: it is passed, or was."""

    scope: str
    scope_id: str
    project: str
    value: int
    """In MB."""
    used: float
    told: bool
    """That it is passed."""
    lasts: timedelta | None
    """For how long without a break; None: not since it was last looked at."""
    runner_id: str | None
    """That is being ended over it."""
    is_ending: bool
    """That one has not ended yet."""

    @property
    def is_over(self) -> bool:
        """Whether more is used than it lets."""
        return self.used > self.value


@dataclass(frozen=True)
class Chosen:
    """The runner that is ended over a limit."""

    runner_id: str
    session_id: str
    generation: int
    memory_mb: float
    project: str


async def claim(connection: Connection) -> bool:
    """Be the only one that looks until the transaction ends. Returns False if another daemon does, or nobody has to."""
    if not await connection.fetchval(SQL.limited):
        return False
    claimed: bool = await connection.fetchval(SQL.claim)
    return claimed


async def measured(connection: Connection) -> list[Measured]:
    """Limits that are passed, or were and are not well kept yet; a session's own first."""
    await connection.execute(SQL.forget)
    rows = await connection.fetch(SQL.measured)
    return [Measured(**{name: value for name, value in as_dict(row).items() if name != "since"}) for row in rows]


async def keep(connection: Connection, one: Measured, *, restart: bool, runner_id: str | None = None) -> None:
    """Remember how a limit stands.

    Args:
        connection: of the transaction.
        one: the limit.
        restart: it counts as passed from now on; else as not passed.
        runner_id: that is being ended over it.
    """
    await connection.execute(SQL.keep, one.scope, one.scope_id, restart, runner_id)


async def choose(connection: Connection, one: Measured) -> Chosen | None:
    """The runner to end over a limit that is passed; None: none runs."""
    row = await connection.fetchrow(SQL.choose, one.scope, one.scope_id, one.used - one.value)
    return Chosen(**as_dict(row)) if row else None


async def chosen(connection: Connection, runner_id: str) -> Chosen | None:
    """The runner that was chosen."""
    row = await connection.fetchrow(SQL.chosen, runner_id)
    return Chosen(**as_dict(row)) if row else None


async def waited_for(connection: Connection) -> bool:
    """Whether somebody waits in line: less memory may let them in."""
    waits: bool = await connection.fetchval(SQL.waited_for)
    return waits
