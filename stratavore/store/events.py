"""Reading the record of events. What writes it is ``stratavore/events/outbox.py``."""

import re

from stratavore.models.views import EventView
from stratavore.store.database import Connection, as_dict
from stratavore.store.queries import load

SQL = load(__file__)


async def views(
    connection: Connection, *, project: str | None = None, pattern: str | None = None, limit: int = 100
) -> list[EventView]:
    """The latest events, oldest first. ``pattern`` is a topic pattern on the type: ``*`` one word, ``#`` any number."""
    rows = await connection.fetch(SQL.views, project, _expression(pattern), limit)
    return [EventView.model_validate(as_dict(row)) for row in rows]


async def undelivered(connection: Connection) -> int:
    """Events that wait for the broker, or were refused by it."""
    count: int = await connection.fetchval(SQL.undelivered)
    return count


def _expression(pattern: str | None) -> str | None:
    """The regular expression that matches event types as the broker's topics would."""
    if pattern is None:
        return None
    words = [{"*": r"[^.]+", "#": r".*"}.get(word, re.escape(word)) for word in pattern.split(".")]
    return "^" + r"\.".join(words).replace(r"\..*", r"(\..*)?").replace(r".*\.", r"(.*\.)?") + "$"
