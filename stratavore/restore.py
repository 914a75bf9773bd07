"""Conversations whose files are gone, written again from what is stored: their agents resume from files only."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

from stratavore import mounts
from stratavore.agents.adapter import Adapter
from stratavore.killpoints import effect
from stratavore.store import transcripts
from stratavore.store.connection import Connection
from stratavore.store.transcripts import Kept

ANSWER_SECONDS = 20.0
"""What the disk may take for a piece of a file, and for having all of it."""

_ask = partial(mounts.ask, seconds=ANSWER_SECONDS)


async def restore(
    connection: Connection,
    adapter: Adapter,
    session_id: str,
    agent_session_id: str,
    default: Path,
    *,
    elsewhere: bool = False,
) -> Path | None:
    """Write again what is missing of a conversation, byte for byte, with the files of agents that it started.

    A file that is as long as what is stored, or longer, is left as it is; but not that of an earlier stay on this host,
    since the conversation went on elsewhere.

    Args:
        connection: To the database.
        adapter: Of the session's agent.
        session_id: Of the session.
        agent_session_id: The agent's own id of the conversation.
        default: Where the agent looks for it on this host, as far as its adapter knows.
        elsewhere: It was on another host last.

    Returns:
        Where the conversation is; None: there is none, neither here nor stored.

    Raises:
        OSError: it cannot be written, or its directory does not answer.
    """
    files = await transcripts.files(connection, session_id, agent_session_id)
    main = next((one for one in files if not one.subagent), None)
    if main is None:
        return default if await _ask(default, default.is_file) else None
    path = default if elsewhere else await _ask(default, partial(_place, Path(main.path), default))
    beside = adapter.subagent_transcripts(path) or path.parent
    for one in files:
        where = beside / one.key.name if one.subagent else path
        if elsewhere or one.place.read_to > await _ask(where, partial(_size, where)):
            await _write(connection, one, where)
    return path


def _place(known: Path, default: Path) -> Path:
    """Where a file that lay at ``known`` belongs: there, unless that was another host."""
    if known == default or default.is_file():
        return default
    return known if known.is_file() or known.parent.parent.is_dir() else default


def _size(path: Path) -> int:
    """-1 if there is no file."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


async def _write(connection: Connection, kept: Kept, path: Path) -> None:
    """All of it or nothing: under another name until it is whole and on the disk."""
    temporary = await _ask(path, partial(_begin, path))
    try:
        async for piece in transcripts.content(connection, kept.id):
            await _ask(path, partial(_append, temporary, piece))
        with effect("restore.rename"):
            await _ask(path, partial(_finish, temporary, path))
    finally:
        with suppress(FileNotFoundError):
            await _ask(path, temporary.unlink)


def _begin(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".restored-", delete=False) as file:  # 0600
        return Path(file.name)


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)


def _finish(temporary: Path, path: Path) -> None:
    with temporary.open("ab") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
