"""Reading the record of events. What writes it is ``stratavore/events/outbox.py``."""

from stratavore.errors import InvalidInput
from stratavore.events.envelope import LAST_WORD
from stratavore.events.outbox import CHANNEL
from stratavore.events.topics import expression
from stratavore.models.views import EventView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

MOST = 100_000
"""Events in one list, which is held in memory."""

MOST_OF_STORY = 10_000


async def views(
    connection: Connection, *, project: str | None = None, pattern: str | None = None, limit: int = 100
) -> list[EventView]:
    """The latest events, oldest first.

    Args:
        connection: One whose JSON columns are Python values.
        project: Of this project only.
        pattern: A topic pattern on routing keys: the same events as the broker would deliver.
        limit: At most so many.

    Raises:
        InvalidInput: the pattern is one that no broker takes, or the limit is not from 1 to :data:`MOST`.
    """
    if not 1 <= limit <= MOST:
        raise InvalidInput(reason=f"Ask for 1 to {MOST} events, not {limit}")
    matching = None if pattern is None else expression(pattern)
    rows = await connection.fetch(SQL.views, project, matching, limit, LAST_WORD)
    return [EventView.model_validate(as_dict(row)) for row in rows]


async def story(connection: Connection, session_id: str) -> list[EventView]:
    """What became of one session, oldest first, at most the latest :data:`MOST_OF_STORY` events."""
    rows = await connection.fetch(SQL.story, session_id, MOST_OF_STORY)
    return [EventView.model_validate(as_dict(row)) for row in rows]


async def happened(connection: Connection, key: str) -> bool:
    """Whether there is an event about the system with this cause."""
    found: bool = await connection.fetchval(SQL.happened, key)
    return found


async def revive(connection: Connection) -> int:
    """Let events that the broker refused be sent again. Returns how many."""
    count: int = await connection.fetchval(SQL.revive, CHANNEL)
    return count


async def undelivered(connection: Connection) -> int:
    """Events that wait for the broker, or were refused by it."""
    count: int = await connection.fetchval(SQL.undelivered)
    return count
