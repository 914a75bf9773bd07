"""Transcripts: read as they grow, understood, and stored together with how far they were read.

A transaction holds what was read of many runners. What Postgres refuses is set aside with its runner named, and
holds up nothing else.
"""

import asyncio
import errno
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic

from stratavore import mounts, telemetry
from stratavore.agents.adapter import Judgement, Start
from stratavore.agents.conversation import Row
from stratavore.agents.registry import adapter_for
from stratavore.environment import environment_of
from stratavore.paths import Home
from stratavore.runtime.tail import read_on
from stratavore.store import runners, sessions, transcripts, usage
from stratavore.store.database import Database
from stratavore.store.runners import Followed
from stratavore.store.transcripts import Part
from worker.conversations import Conversations
from worker.reading import REFUSED, Reading, keep, keep_singly, replies_in_output, understand
from worker.sightings import judge_dead
from worker.watched import Watched

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
AT_ONCE = 4 * 1024**2
"""Bytes that are read for one transaction, about."""
UNMETERED_SECONDS = 10.0
"""How long after its end a turn's usage may be written."""
STALE_SECONDS = 1.0
STALE_TRIES = 3
ANSWER_SECONDS = 10.0
"""What files may take for a pass; then the one that is read is known to hang."""


@dataclass
class _Pass:
    """One look at files, in a thread that may hang."""

    at: str = ""
    """The runner whose files are read."""
    given_up: bool = False
    over: bool = False


class Transcripts:
    """Reads what the agents of this host write, each byte once."""

    def __init__(self, home: Home, host: str, database: Database, following: asyncio.Lock) -> None:
        """``following`` is as in :class:`~worker.sightings.Sightings`."""
        self._home = home
        self._host = host
        self._database = database
        self._following = following
        self._conversations: dict[str, Conversations] = {}
        self._stale: dict[str, float] = {}
        """Runners of which something else is stored than was thought, and when that is asked again."""
        self._silent: dict[str, _Pass] = {}
        """Runners whose files do not answer, and the pass that waits for them: the next ones leave them out."""
        self._passes = count()
        self._unknown: set[tuple[str, str]] = set()
        self._lock = asyncio.Lock()

    async def look(self, watched: Sequence[Watched]) -> None:
        """Read what is new of all of them, and see whether turns that ended were metered."""
        keeping = [one for one in watched if adapter_for(one.agent).transcripts]
        if not keeping and not self._conversations:
            return
        async with self._lock:
            alive = {one.runner_id for one in keeping}
            self._conversations = {id_: one for id_, one in self._conversations.items() if id_ in alive}
            keeping = [one for one in keeping if one.ending is None]
            await self._open(keeping)
            for one in keeping:
                self._enter(one, one.shown)
            wanted = [self._conversations[one.runner_id] for one in keeping]
            while await self._pass(wanted):
                pass
            await self._account(wanted)

    async def drain(self, one: Watched) -> None:
        """Read a runner's transcripts to their ends: it has died, and what it wrote counts before its end is told.

        Raises:
            OSError: some of it cannot be read now; the rest was read, unless it is a file that does not answer.
        """
        if not adapter_for(one.agent).transcripts:
            return
        async with self._lock:
            judged = judge_dead(one)
            for _ in range(STALE_TRIES):
                if self._is_silent(one.runner_id):
                    raise TimeoutError(errno.ETIMEDOUT, "it does not answer")
                self._stale.pop(one.runner_id, None)
                self._conversations.pop(one.runner_id, None)
                await self._open([one])
                self._enter(one, judged)
                while await self._pass([self._conversations[one.runner_id]], every=True):
                    pass
                if one.runner_id not in self._stale:
                    break
            if unread := self._conversations[one.runner_id].unread:
                raise unread
            await self._count_output(one)
            if judged.agent_session_id and judged.agent_session_id != one.shown.agent_session_id:
                async with self._database.pool.acquire() as connection:
                    await sessions.follow(connection, one.runner_id, judged.agent_session_id)

    async def _count_output(self, one: Watched) -> None:
        """Count replies that stand in the output only: transcripts are written a moment later."""
        used = await asyncio.to_thread(replies_in_output, one)
        if used:
            async with self._database.transaction("transcripts.output") as transaction:
                await sessions.lock(transaction.connection, one.session_id)
                await usage.add(transaction.connection, used)

    async def _open(self, watched: Sequence[Watched]) -> None:
        """Know what is stored of runners that are new here."""
        now = monotonic()
        new = [
            one
            for one in watched
            if one.runner_id not in self._conversations or self._stale.get(one.runner_id, now) < now
        ]
        if not new:
            return
        async with self._database.pool.acquire() as connection:
            kept = await transcripts.of_sessions(connection, [one.session_id for one in new])
            ids = {one.session_id: await sessions.agent_session_id(connection, one.session_id) for one in new}
        for one in new:
            conversations = self._conversations[one.runner_id] = Conversations.of(one, kept)
            self._stale.pop(one.runner_id, None)
            # Unless its hooks tell another one.
            try:
                path = await asyncio.to_thread(self._expected, one, ids[one.session_id])
            except OSError as error:  # one of which nobody knows now where it is holds up no other
                if one.ending is not None:
                    raise
                log.warning("it is not known where the transcript of %s is: %s", one.runner_id, error)
                self._stale[one.runner_id] = now + STALE_SECONDS
                continue
            if path:
                conversations.enter(path, ids[one.session_id])

    def _expected(self, one: Watched, agent_session_id: str) -> Path | None:
        """Where the adapter says that the runner's conversation is."""
        spec = one.run.spec()
        if spec is None:
            return None
        start = Start(
            session_id=one.session_id,
            agent_session_id=agent_session_id,
            resume=True,
            directory=self._home.run_directory(one.runner_id),
            environment=environment_of(self._home, one.session_id),
        )
        return adapter_for(one.agent).transcript_path(start, spec.cwd)

    def _enter(self, one: Watched, judged: Judgement) -> None:
        """Follow every conversation that the runner told of, and where it is now."""
        conversations = self._conversations[one.runner_id]
        told = [(path, id_) for path, id_ in one.entered.items() if path != judged.transcript]
        if judged.transcript and judged.agent_session_id:
            told.append((judged.transcript, judged.agent_session_id))
        if told != conversations.told:
            for path, agent_session_id in told:
                conversations.enter(Path(path), agent_session_id)
            conversations.told = told

    async def _pass(self, wanted: Sequence[Conversations], *, every: bool = False) -> bool:
        """Read and store about :data:`AT_ONCE` bytes. Returns whether there is more to be read at once."""
        this = _Pass()
        asked = [one for one in wanted if not self._is_silent(one.watched.runner_id)]
        read = partial(self._read, asked, every, this)
        try:
            readings, more = await mounts.ask(f"transcripts/{next(self._passes)}", read, seconds=ANSWER_SECONDS)
        except TimeoutError:
            this.given_up, self._silent[this.at] = True, this
            log.warning("a transcript of %s does not answer, and is left out until it does", this.at)
            if every:
                raise
            return False
        self._tell(readings)
        if not readings:
            return False
        try:
            stored = await self._store(readings)
        except REFUSED:
            stored = [part for reading in readings for part in await self._store_alone(reading)]
        kept = {part.key for part in stored}
        for reading in readings:
            self._move_on(reading, stored=reading.part.key in kept)
        return more and bool(kept)

    def _is_silent(self, runner_id: str) -> bool:
        self._silent = {id_: waits for id_, waits in self._silent.items() if not waits.over}
        return runner_id in self._silent

    def _read(self, wanted: Sequence[Conversations], every: bool, this: _Pass) -> tuple[list[Reading], bool]:
        """Pieces of files, understood and priced."""
        try:
            return self._read_until(wanted, every, this)
        finally:
            this.over = True

    def _read_until(self, wanted: Sequence[Conversations], every: bool, this: _Pass) -> tuple[list[Reading], bool]:
        now, size = monotonic(), 0
        found: list[Reading] = []
        for conversations in wanted:
            this.at = conversations.watched.runner_id
            for file in conversations.changed(now, every=every):
                if size >= AT_ONCE or this.given_up:
                    return found, True
                try:
                    piece = read_on(file.path, file.place)
                    file.unread = None
                except FileNotFoundError:
                    piece = None
                except OSError as error:
                    if file.unread is None:
                        log.warning("a transcript of %s cannot be read: %s", conversations.watched.runner_id, error)
                    piece, file.unread = None, error
                if piece is None:
                    file.more = False
                else:
                    found.append(understand(conversations, file, piece))
                    size += len(piece.content)
        return found, any(reading.piece.more for reading in found)

    def _tell(self, readings: Iterable[Reading]) -> None:
        """Let followers hear what is new, and say of each unknown kind once that there is one."""
        for reading in readings:
            one, file = reading.conversations.watched, reading.file
            agent = one.agent
            if reading.part.part != file.heard_part:
                file.heard_part, file.heard = reading.part.part, 0
            rows = reading.rows[reading.piece.lines_before(file.heard) :]  # others were heard before, and not stored
            file.heard = max(file.heard, reading.piece.after.read_to)
            for row in rows:
                if not row.known and (agent, row.kind) not in self._unknown and len(self._unknown) < 1000:
                    self._unknown.add((agent, row.kind))
                    log.warning("a transcript of %s has a row of a kind that is not known: %s", one.runner_id, row.kind)
                if not file.subagent:
                    _hear(one, row)
            unknown = sum(not row.known for row in rows)
            telemetry.TRANSCRIPT_ROWS.labels(agent, "true").inc(len(rows) - unknown)
            telemetry.TRANSCRIPT_ROWS.labels(agent, "false").inc(unknown)
            telemetry.REPLIES.labels(agent).inc(len({row.reply.id for row in rows if row.reply}))
            if any(row.reply or row.news for row in rows):
                reading.conversations.turns.metered = True

    async def _store(self, readings: Sequence[Reading]) -> list[Part]:
        async with self._following:
            async with self._database.transaction("transcripts.store") as transaction:
                stored = await keep(transaction.connection, self._host, readings)
                known = _known(readings, stored)
                await runners.remember(transaction.connection, known)
            _keep_in_mind(readings, known)
        return stored

    async def _store_alone(self, reading: Reading) -> list[Part]:
        """Store one piece for itself; what Postgres refuses of it is kept as it was written, and no more."""
        runner_id = reading.conversations.watched.runner_id
        refused: int | None = None
        try:
            async with self._following:
                async with self._database.transaction("transcripts.store") as transaction:
                    connection = transaction.connection
                    try:
                        async with connection.transaction():
                            stored = await keep(connection, self._host, [reading])
                    except REFUSED:
                        stored = await transcripts.keep(connection, self._host, [reading.part])
                        refused = await keep_singly(connection, reading.used, reading.said) if stored else 0
                    known = _known([reading], stored)
                    try:
                        async with connection.transaction():
                            await runners.remember(connection, known)
                    except REFUSED:  # who writes its sightings says so
                        known = {}
                _keep_in_mind([reading], known)
        except REFUSED as error:
            log.error("a transcript of %s is set aside, since Postgres refuses it: %s", runner_id, error)
            reading.file.refused = True
            return []
        if refused is not None:
            log.error(
                "%d rows of a transcript of %s were refused by Postgres, and are kept as written", refused, runner_id
            )
            telemetry.TRANSCRIPT_REFUSED.labels(reading.conversations.watched.agent).inc(refused)
        return stored

    def _move_on(self, reading: Reading, *, stored: bool) -> None:
        file = reading.file
        if stored:
            file.part, file.place, file.more = reading.part.part, reading.piece.after, reading.piece.more
            return
        file.more = False
        if not file.refused:  # of a runner of the past; or another daemon stored it before
            self._stale[reading.conversations.watched.runner_id] = monotonic() + STALE_SECONDS

    async def _account(self, wanted: Sequence[Conversations]) -> None:
        """Notice turns that ended while nothing was read of what they used: the format may have changed."""
        now = monotonic()
        unmetered = [
            one.watched
            for one in wanted
            if one.turns.unmetered(one.watched.shown.turn_ended_at, now, UNMETERED_SECONDS)
        ]
        if not unmetered:
            return
        for one in unmetered:
            telemetry.UNMETERED_TURNS.labels(one.agent).inc()
            log.warning("a turn of %s ended, and its transcript does not say what it used", one.runner_id)
        async with self._database.transaction("transcripts.account") as transaction:
            await transcripts.count_unmetered(transaction.connection, [one.runner_id for one in unmetered])


def _known(readings: Iterable[Reading], stored: Iterable[Part]) -> dict[str, Followed]:
    """What is known of runners with the rows that were just stored: the next daemon begins behind them."""
    ids = {part.runner_id for part in stored if not part.subagent}
    watched = {one.runner_id: one for one in (reading.conversations.watched for reading in readings)}
    return {id_: known for id_ in ids if (known := watched[id_].known) != watched[id_].followed}


def _keep_in_mind(readings: Iterable[Reading], known: Mapping[str, Followed]) -> None:
    """That this is what was written down."""
    for one in (reading.conversations.watched for reading in readings):
        one.followed = known.get(one.runner_id, one.followed)


def _hear(one: Watched, row: Row) -> None:
    """A row that its follower stumbles over is counted like the others."""
    try:
        one.follower.row(row)
    except Exception:
        log.exception("a row of a transcript of %s was not understood", one.runner_id)
