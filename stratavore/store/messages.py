"""What people and agents said, to be searched."""

from collections.abc import Sequence
from dataclasses import dataclass

from stratavore.agents.conversation import Message
from stratavore.errors import InvalidInput
from stratavore.models.views import FoundView
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

MOST = 1000
"""Results of one search."""
RANKED = 2000
"""Matches that are put in order, the newest ones."""
BEGIN, END = "\x02", "\x03"
"""Around a word that was found: no text that is shown has these."""
_HEADLINE = (
    f'StartSel="{BEGIN}", StopSel="{END}", MaxWords=30, MinWords=12, ShortWord=0, MaxFragments=2, '
    'FragmentDelimiter=" … "'
)


@dataclass(frozen=True)
class Said:
    """A message of a session."""

    session_id: str
    message: Message
    subagent: bool


async def add(connection: Connection, said: Sequence[Said]) -> None:
    """Store messages; those that are known are left as they are."""
    if said:
        await connection.execute(
            SQL.add,
            [one.session_id for one in said],
            [one.message.id for one in said],
            [one.message.at for one in said],
            [one.message.role for one in said],
            [one.message.text for one in said],
            [one.subagent for one in said],
        )


async def search(
    connection: Connection, words: str, *, project_id: str | None = None, limit: int = 20
) -> list[FoundView]:
    """Messages with these words, the best first; of very many the newest :data:`RANKED` are compared.

    Args:
        connection: To the database.
        words: As one types them into a search engine: ``"in this order"``, ``or``, ``-without``.
        project_id: Of this project only.
        limit: At most so many.

    Raises:
        InvalidInput: the limit is not from 1 to :data:`MOST`, or there is no word to search for.
    """
    if not 1 <= limit <= MOST:
        raise InvalidInput(reason=f"Ask for 1 to {MOST} results, not {limit}")
    words = words.replace("\x00", " ")
    if not await connection.fetchval(SQL.words, words):
        raise InvalidInput(reason="There is no word to search for in that; words like 'the' are in every text")
    async with connection.transaction():
        await connection.execute(SQL.plan_anew)
        rows = await connection.fetch(SQL.search, words, project_id, limit, RANKED, _HEADLINE)
    return [FoundView.model_validate(as_dict(row)) for row in rows]
