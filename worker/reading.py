"""A piece of a transcript: read, understood, priced, and stored with all that it says."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from stratavore.agents.conversation import Row
from stratavore.agents.registry import adapter_for
from stratavore.runtime.tail import Piece
from stratavore.store import messages, transcripts, usage
from stratavore.store.connection import Connection
from stratavore.store.messages import Said
from stratavore.store.transcripts import Part
from stratavore.store.usage import Used
from worker.conversations import Conversations, File
from worker.watched import Watched

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    UnicodeError,
)
"""What Postgres says to values that it takes never."""


@dataclass(frozen=True)
class Reading:
    """A piece of a file, understood."""

    conversations: Conversations
    file: File
    piece: Piece
    part: Part
    rows: Sequence[Row]
    used: Sequence[Used]
    said: Sequence[Said]


def understand(conversations: Conversations, file: File, piece: Piece) -> Reading:
    """What a piece says. Not for the event loop."""
    one = conversations.watched
    read_row = adapter_for(one.agent).read_row
    rows = [read_row(line) for line in piece.lines()]
    part = Part(
        runner_id=one.runner_id,
        key=file.key,
        subagent=file.subagent,
        path=str(file.path),
        part=file.part + piece.anew,
        start=piece.start,
        packed=transcripts.pack(piece.content),
        after=piece.after,
        rows=len(rows),
        unknown_rows=sum(not row.known for row in rows),
    )
    used = usage.merged(Used.of(one.runner_id, one.session_id, row.reply) for row in rows if row.reply)
    said = [Said(one.session_id, row.message, file.subagent) for row in rows if row.message]
    return Reading(conversations, file, piece, part, rows, used, said)


def replies_in_output(one: Watched) -> list[Used]:
    """Replies in what an agent without a terminal wrote out. Not for the event loop.

    Raises:
        OSError: it cannot be read now.
    """
    spec = one.run.spec()
    if spec is None or spec.stdin is None:
        return []
    read_row = adapter_for(one.agent).read_row
    try:
        with one.run.output.open("rb") as lines:
            rows = [read_row(line) for line in lines]
    except FileNotFoundError:
        return []
    return usage.merged(Used.of(one.runner_id, one.session_id, row.reply) for row in rows if row.reply)


async def keep(connection: Connection, host: str, readings: Sequence[Reading]) -> list[Part]:
    """Store pieces with what they say, within a transaction. Returns what was stored of them."""
    stored = await transcripts.keep(connection, host, [reading.part for reading in readings])
    kept = {part.key for part in stored}
    counted = [reading for reading in readings if reading.part.key in kept]
    await usage.add(connection, [one for reading in counted for one in reading.used])
    await messages.add(connection, [one for reading in counted for one in reading.said])
    return stored


async def keep_singly(connection: Connection, used: Sequence[Used], said: Sequence[Said]) -> int:
    """Store what a piece holds, one after the other. Returns how much was refused."""
    refused = 0
    for reply in used:
        try:
            async with connection.transaction():
                await usage.add(connection, [reply])
        except REFUSED:
            refused += 1
    for message in said:
        try:
            async with connection.transaction():
                await messages.add(connection, [message])
        except REFUSED:
            refused += 1
    return refused
