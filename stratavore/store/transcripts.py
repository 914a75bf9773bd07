"""Files that agents write their conversations to, kept as they were written."""

import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stratavore.models.views import TranscriptView
from stratavore.runtime.tail import Place
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

PAGE = 256 * 1024
"""Packed bytes that are read at once, about."""


class Key(NamedTuple):
    """What a file is known by, wherever it lies."""

    session_id: str
    agent_session_id: str
    name: str


@dataclass(frozen=True)
class Kept:
    """A file, as far as it is stored."""

    id: int
    key: Key
    subagent: bool
    path: str
    part: int
    place: Place


@dataclass(frozen=True)
class Part:
    """Bytes of a file that were read, to be stored."""

    runner_id: str
    """Of the runner that wrote them."""
    key: Key
    subagent: bool
    path: str
    part: int
    start: int
    packed: bytes
    """By :func:`pack`."""
    after: Place
    rows: int
    unknown_rows: int


def pack(content: bytes) -> bytes:
    """What is stored of some bytes. Not for the event loop.

    Postgres would pack them as well, but takes three times as long and more room.
    """
    return zlib.compress(content, 1)


async def of_sessions(connection: Connection, session_ids: Sequence[str]) -> dict[Key, Kept]:
    """What is stored of the sessions' files."""
    rows = await connection.fetch(SQL.of_sessions, list(set(session_ids)))
    return {kept.key: kept for kept in (_kept(as_dict(row)) for row in rows)}


async def keep(connection: Connection, host: str, parts: Sequence[Part]) -> list[Part]:
    """Store what goes on where the stored ends: at most one part of a file. Locks the sessions for the transaction.

    Returns:
        What was stored: not what a runner of the past or of another host wrote, and not what was stored before.
    """
    session_ids = sorted({part.key.session_id for part in parts})
    await connection.fetch(SQL.lock, session_ids)
    rows = await connection.fetch(SQL.current, list({part.runner_id for part in parts}), host)
    current = {row["id"] for row in rows}
    known = await of_sessions(connection, session_ids)
    stored = [part for part in parts if part.runner_id in current and _goes_on(part, known.get(part.key))]
    if not stored:
        return []
    rows = await connection.fetch(
        SQL.keep,
        [part.key.session_id for part in stored],
        [part.key.agent_session_id for part in stored],
        [part.subagent for part in stored],
        [part.key.name for part in stored],
        [part.path for part in stored],
        [part.part for part in stored],
        [part.after.read_to for part in stored],
        [part.after.mark for part in stored],
        [part.rows for part in stored],
        [part.unknown_rows for part in stored],
    )
    ids = {Key(row["session_id"], row["agent_session_id"], row["name"]): row["id"] for row in rows}
    await connection.execute(
        SQL.keep_content,
        [ids[part.key] for part in stored],
        [part.start for part in stored],
        [part.packed for part in stored],
    )
    return stored


async def files(connection: Connection, session_id: str, agent_session_id: str | None = None) -> list[Kept]:
    """The session's files, or those of one conversation, in the order in which they are read."""
    return [_kept(as_dict(row)) for row in await connection.fetch(SQL.files, session_id, agent_session_id)]


async def views(connection: Connection, session_id: str) -> list[TranscriptView]:
    """The same, for people."""
    return [
        TranscriptView(
            transcript_id=one.id,
            agent_session_id=one.key.agent_session_id,
            subagent=one.subagent,
            name=one.key.name,
            path=one.path,
            bytes=one.place.read_to,
        )
        for one in await files(connection, session_id)
    ]


async def content(connection: Connection, transcript_id: int, start: int = 0) -> AsyncIterator[bytes]:
    """What is stored of a file from one of its parts on, in pieces of about a megabyte."""
    while rows := await connection.fetch(SQL.content, transcript_id, start, PAGE):
        pieces = [zlib.decompress(row["content"]) for row in rows]
        yield b"".join(pieces)
        start = rows[-1]["start"] + len(pieces[-1])


async def count_unmetered(connection: Connection, runner_ids: Sequence[str]) -> None:
    """Say of runners that a turn of theirs ended of which nothing says what it cost."""
    await connection.execute(SQL.count_unmetered, list(runner_ids))


async def health(connection: Connection) -> list[str]:
    """What is strange about the files of the last days, in a sentence each."""
    told = [
        f"transcripts of {row['agent']}: {row['unknown_rows']} of {row['rows']} rows were of an unknown kind"
        for row in await connection.fetch(SQL.health)
        if row["unknown_rows"]
    ]
    for row in await connection.fetch(SQL.unmetered):
        turns = "1 turn" if row["turns"] == 1 else f"{row['turns']} turns"
        told.append(f"usage of {row['agent']}: {turns} ended without a reply that says what it used")
    return told


def _goes_on(part: Part, known: Kept | None) -> bool:
    if known is None:
        return part.start == 0
    if part.part == known.part:
        return part.start == known.place.read_to
    return part.part == known.part + 1 and part.start == 0


def _kept(row: dict[str, object]) -> Kept:
    key = Key(str(row["session_id"]), str(row["agent_session_id"]), str(row["name"]))
    return Kept(
        id=int(str(row["id"])),
        key=key,
        subagent=bool(row["subagent"]),
        path=str(row["path"]),
        part=int(str(row["part"])),
        place=Place(int(str(row["read_to"])), row["mark"]),  # type: ignore[arg-type]
    )
