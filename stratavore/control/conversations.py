"""Conversations: their files and their words."""

from base64 import b64encode

from stratavore import targets
from stratavore.control.reach import Reach
from stratavore.models.views import ContentView, FoundView, TranscriptView
from stratavore.store import messages, transcripts


class Conversations(Reach):
    """What agents said."""

    async def list_transcripts(self, session_id: str) -> list[TranscriptView]:
        """The files of a session's conversations, in the order in which they are read."""
        async with self._database.pool.acquire() as connection:
            return await transcripts.views(connection, session_id)

    async def read_transcript(self, transcript_id: int, start: int = 0) -> ContentView:
        """A piece of a file, from ``start`` (0, or the ``next`` of another piece) on."""
        async with self._database.pool.acquire() as connection:
            async for piece in transcripts.content(connection, transcript_id, start):
                return ContentView(content=b64encode(piece).decode(), next=start + len(piece))
        return ContentView(content="", next=None)

    async def search(self, words: str, project: str | None = None, limit: int = 20) -> list[FoundView]:
        """Messages with these words, the best first."""
        async with self._database.pool.acquire() as connection:
            found = await targets.project(connection, project) if project is not None else None
            return await messages.search(connection, words, project_id=found.project_id if found else None, limit=limit)
