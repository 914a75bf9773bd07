"""What agents wrote while this host was lost, and their sessions went on elsewhere: counted once it is back.

Their conversations went on from what was stored by then, so the files here are of the past. What was spent was spent.
One whose files cannot be read holds up no other: what can be read of it counts, and the rest is asked for again later.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic

from stratavore import mounts
from stratavore.agents.adapter import Observation, Start
from stratavore.agents.registry import adapter_for
from stratavore.environment import environment_of
from stratavore.events.envelope import EventType, NewEvent
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, liveness
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tail import Piece, Place, read_on
from stratavore.store import messages, runners, sessions, usage
from stratavore.store.database import Database
from stratavore.store.messages import Said
from stratavore.store.runners import LeftBehind
from stratavore.store.usage import Used
from worker.reading import REFUSED, keep_singly

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 600.0
"""Between two looks at what could not be read."""
TOLD_AFTER = 3
"""Tries: what failed for a moment only is not worth a word."""
_CLOCKS = timedelta(minutes=5)
"""So much earlier than its runner's start by Postgres' clock a reply may be by the agent's."""
_UNSEEN = Observation(alive_seconds=0.0, quiet_seconds=None)
_ABSENT = (FileNotFoundError, NotADirectoryError)


@dataclass
class _Failed:
    """A runner of which something could not be read."""

    tries: int = 0
    delay: float = LOOK_SECONDS
    again: float = 0.0
    """When it is looked at again, by the monotonic clock."""
    told: bool = False


@dataclass
class _Found:
    """The files of a runner: which of them are of agents that it started, and why some are not known, if so."""

    files: dict[Path, bool] = field(default_factory=dict)
    unread: OSError | None = None


class Rest:
    """Counts what runners of this host had not been counted for when it was lost."""

    def __init__(self, home: Home, host: str, database: Database) -> None:
        self._home = home
        self._host = host
        self._database = database
        self._failed: dict[str, _Failed] = {}

    async def look(self) -> None:
        """Count the rest of those whose agents are dead. A reply that is known is known by its id."""
        now = monotonic()
        later = [id_ for id_, failed in self._failed.items() if failed.again > now]
        async with self._database.pool.acquire() as connection:
            found = await runners.left_behind(connection, self._host, but=later)
        asked = {*later, *(one.runner_id for one in found)}
        self._failed = {id_: failed for id_, failed in self._failed.items() if id_ in asked}
        for one in found:
            try:
                await self._count(one)
            except Exception as error:
                async with self._database.pool.acquire() as connection:
                    await connection.fetchval("SELECT 1")  # who is away is waited for: then nothing was tried
                await self._put_off(one, error)

    async def _count(self, one: LeftBehind) -> None:
        """Count all that one wrote.

        Raises:
            OSError: some of it cannot be read now; the others of its files are counted.
        """
        run = RunDirectory(self._home, one.runner_id)
        agent = await asyncio.to_thread(run.agent)
        if agent and liveness(agent) is not Liveness.DEAD:
            return  # it is about to be ended
        found = await mounts.ask(run.path, partial(self._files, one, run))
        failures = [await self._count_file(one, file, subagent) for file, subagent in sorted(found.files.items())]
        for failure in (found.unread, *failures):
            if failure:
                raise failure
        async with self._database.pool.acquire() as connection:
            await runners.rest_counted(connection, one.runner_id)
        self._failed.pop(one.runner_id, None)
        log.info("what %s wrote while this host was lost is counted", one.runner_id)

    async def _count_file(self, one: LeftBehind, file: Path, subagent: bool) -> OSError | None:
        """Count what is in a file, a piece after the other. Returns why not all of it could be read, if so."""
        place, more = Place(), True
        while more:
            try:
                piece = await mounts.ask(file, partial(read_on, file, place))
            except _ABSENT:
                return None
            except OSError as error:
                return error
            if piece is None:
                return None
            used, said = await asyncio.to_thread(_understand, one, piece, subagent)
            await self._store(one, used, said)
            place, more = piece.after, piece.more
        return None

    async def _store(self, one: LeftBehind, used: Sequence[Used], said: Sequence[Said]) -> None:
        try:
            async with self._database.transaction("rest.count") as transaction:
                await sessions.lock(transaction.connection, one.session_id)
                await usage.add(transaction.connection, used)
                await messages.add(transaction.connection, said)
        except REFUSED:
            async with self._database.transaction("rest.count") as transaction:
                await sessions.lock(transaction.connection, one.session_id)
                refused = await keep_singly(transaction.connection, used, said)
            log.error("%d rows of a transcript of %s were refused by Postgres", refused, one.runner_id)

    async def _put_off(self, one: LeftBehind, error: Exception) -> None:
        """Look at it again later, and tell people once."""
        failed = self._failed.setdefault(one.runner_id, _Failed())
        failed.tries += 1
        failed.again = monotonic() + min(failed.delay, LONGEST_RETRY_SECONDS)
        failed.delay = min(2 * failed.delay, LONGEST_RETRY_SECONDS)
        if failed.told or failed.tries < TOLD_AFTER:
            return
        reason = str(error) or type(error).__name__
        log.error(
            "what %s wrote while this host was lost cannot be read, and is asked for again: %s", one.runner_id, reason
        )
        async with self._database.transaction("rest.alert") as transaction:
            transaction.emit(_not_counted(one, reason))
        failed.told = True

    def _files(self, one: LeftBehind, run: RunDirectory) -> _Found:
        """Its transcripts here, and those of agents that it started. Not for the event loop.

        Raises:
            OSError: nobody knows now where they are.
        """
        found = _Found()
        adapter = adapter_for(one.agent)
        if not adapter.transcripts:
            return found
        environment = environment_of(self._home, one.session_id)
        conversations = {
            adapter.transcript_path(Start(one.session_id, id_, True, run.path, environment), one.cwd)
            for id_ in one.conversations
        }
        try:
            conversations |= _told(one, run.hooks)
        except OSError as error:
            found.unread = error
        for file in filter(None, conversations):
            found.files[file] = False
            directory = adapter.subagent_transcripts(file)
            try:
                names = os.listdir(directory) if directory else []  # noqa: PTH208 - `glob` takes an error for absence
            except _ABSENT:
                continue
            except OSError as error:
                found.unread = error
                continue
            found.files |= {directory / name: True for name in names if directory and name.endswith(".jsonl")}
        return found


def _told(one: LeftBehind, hooks: Path) -> set[Path]:
    """The conversations that it told of by its hooks.

    Raises:
        OSError: they cannot be read now.
    """
    told: set[Path] = set()
    follower = adapter_for(one.agent).follow({})
    place, more = Place(), True
    while more:
        try:
            piece = read_on(hooks, place)
        except _ABSENT:
            break
        if piece is None:
            break
        for line in piece.lines():
            try:
                follower.hook(line)
            except Exception:  # costs that line only
                log.exception("a hook of %s was not understood", one.runner_id)
            if path := follower.judge(_UNSEEN).transcript:
                told.add(Path(path))
        place, more = piece.after, piece.more
    return told


def _understand(one: LeftBehind, piece: Piece, subagent: bool) -> tuple[Sequence[Used], Sequence[Said]]:
    """What a piece of a file says of the time of its runner. Not for the event loop."""
    earliest = one.began - _CLOCKS
    rows = [adapter_for(one.agent).read_row(line) for line in piece.lines()]
    used = [Used.of(one.runner_id, one.session_id, row.reply) for row in rows if row.reply and row.reply.at >= earliest]
    said = [Said(one.session_id, row.message, subagent) for row in rows if row.message and row.message.at >= earliest]
    return usage.merged(used), said


def _not_counted(one: LeftBehind, reason: str) -> NewEvent:
    data = {
        "runner_id": one.runner_id,
        "severity": "warning",
        "message": f"What the runner {one.runner_id} wrote while its host was lost could not be read: {reason}",
        "advice": "make its files there readable: they are asked for again, and its tokens count then",
    }
    return NewEvent(one.session_id, f"{one.runner_id}/rest", EventType.SYSTEM_ALERT, one.project, data)
