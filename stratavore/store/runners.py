"""Runners: placing, running, ending, and what their host's monitor sees of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from stratavore.agents.adapter import Judgement
from stratavore.models.base import Model
from stratavore.models.session import LiveRunner
from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.steps import Placed, Placement, RunnerExit
from stratavore.models.views import RunnerView
from stratavore.runtime.processes import ProcessIdentity
from stratavore.store import sessions
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)

_log = logging.getLogger(__name__)


class Followed(Model):
    """How far a runner's agent was followed, for the next daemon to go on from there."""

    hooks_read: int = 0
    """Bytes of its file of hooks."""
    entered: dict[str, str] = Field(default_factory=dict)
    """Transcripts that these told of, each with the agent's own id of the conversation."""
    agent: dict[str, Any] = Field(default_factory=dict)
    """What its adapter's follower knew."""


class Turn(Model):
    """What an agent does with what it was told. Times are of its host's clock."""

    runner_id: str
    activity: Activity
    activity_at: datetime
    question: str | None
    reply: str | None
    prompted_at: datetime | None
    turn_ended_at: datetime | None
    turn_failed: bool = False


class LiveRow(Model):
    """A runner that has not ended, with what its host needs to find it again."""

    runner_id: str
    session_id: str
    generation: int
    status: RunnerStatus
    pid: int | None
    pid_ticks: int | None
    wrapper_pid: int | None
    wrapper_ticks: int | None
    boot_id: str | None
    activity: Activity
    question: str | None
    reply: str | None
    prompted_at: datetime | None
    turn_ended_at: datetime | None
    turn_failed: bool
    agent_session_id: str
    followed: Followed
    started_at: datetime | None
    agent: str
    project_id: str
    project: str

    @property
    def shown(self) -> Judgement:
        """What it was last seen doing."""
        conversation = self.agent_session_id if self.followed.agent else None
        return Judgement(
            self.activity,
            self.question,
            self.reply,
            self.prompted_at,
            self.turn_ended_at,
            self.turn_failed,
            conversation,
        )

    @property
    def agent_process(self) -> ProcessIdentity | None:
        """The agent's process, if it was started."""
        return self._identity(self.pid, self.pid_ticks)

    @property
    def wrapper_process(self) -> ProcessIdentity | None:
        """The wrapper's process, if it was started."""
        return self._identity(self.wrapper_pid, self.wrapper_ticks)

    def _identity(self, pid: int | None, ticks: int | None) -> ProcessIdentity | None:
        if pid is None or ticks is None or self.boot_id is None:
            return None
        return ProcessIdentity(pid=pid, start_ticks=ticks, boot_id=self.boot_id)


@dataclass(frozen=True)
class Sighting:
    """What the monitor saw of one runner. Memory and CPU are measured less often: None keeps the last figures."""

    runner_id: str
    seen: Judgement
    followed: Followed = field(default_factory=Followed)
    memory_mb: float | None = None
    cpu_percent: float | None = None
    attached: bool = False
    """A person looks at its terminal."""


async def place(
    connection: Connection,
    session_id: str,
    step: str,
    host: str | None,
    state: SessionState,
    *,
    destination: str | None = None,
) -> Placed:
    """Create the next runner of a session that holds a slot, or give again the one that this step made.

    ``host``: where it was asked for; where it was comes before that. ``destination``: where it moves to; first of all.
    """
    await sessions.lock(connection, session_id)
    row = await connection.fetchrow(SQL.place, session_id, step, host, state, destination)
    assert row is not None, "a session is placed after its row was opened"
    if row["id"] is None:
        return Placed(holds_slot=row["holds_slot"])
    placement = Placement(runner_id=row["id"], generation=row["generation"], host=row["host"])
    return Placed(holds_slot=row["holds_slot"], placement=placement)


async def run(
    connection: Connection,
    runner_id: str,
    agent: ProcessIdentity,
    wrapper: ProcessIdentity | None,
    watched_by: UUID,
    followed: Followed | None = None,
) -> bool:
    """Show a runner as running, of which this is known from its beginning. Returns False if it has ended."""
    found = await connection.fetchval(
        SQL.run,
        runner_id,
        agent.pid,
        agent.start_ticks,
        wrapper.pid if wrapper else None,
        wrapper.start_ticks if wrapper else None,
        agent.boot_id,
        watched_by,
        (followed or Followed()).model_dump(mode="json"),
    )
    return found is not None


async def guard(connection: Connection, runner_id: str, term: int) -> bool:
    """Let a runner live in this term of its host's lease only. Returns False if another one is the session's by now."""
    return await connection.fetchval(SQL.guard, runner_id, term) is not None


async def recovered(connection: Connection, runner_id: str) -> tuple[str, float] | None:
    """What was lost before this runner, and for how many seconds; asked in the transaction that shows it as running.

    Returns:
        ``agent``: it died; ``terminal``: it was gone with its wrapper; ``host``: so was the machine's run, or the
        session is on another host now. None: nothing was lost, or it was told before.
    """
    row = await connection.fetchrow(SQL.recovered, runner_id)
    return (row["cause"], row["seconds"]) if row else None


async def finish(connection: Connection, status: RunnerStatus, end: RunnerExit) -> bool:
    """Write how a runner ended. Returns False if that was written before."""
    found = await connection.fetchval(
        SQL.finish, end.runner_id, status, end.code, end.kind, end.reason, end.last_lines, end.at
    )
    return found is not None


async def live(connection: Connection, session_id: str) -> LiveRunner | None:
    """The runner of the session that was shown as running, and whose end is not recorded."""
    row = await connection.fetchrow(SQL.live, session_id)
    return LiveRunner.model_validate(as_dict(row)) if row else None


async def end_unlaunched(connection: Connection, session_id: str, reason: str | None) -> None:
    """End a runner that was placed and never launched: people changed their mind before its workflow heard of it."""
    await connection.execute(SQL.end_unlaunched, session_id, reason)


async def end_paused(connection: Connection, session_id: str) -> None:
    """The session runs again or is over: the runner that it was paused with is an ended one like the others."""
    await connection.execute(SQL.end_paused, session_id)


async def live_of_host(connection: Connection, host: str) -> list[LiveRow]:
    """Runners that should be alive on a host. A row that is not understood is said, and holds up no other."""
    found = []
    for row in await connection.fetch(SQL.live_of_host, host):
        try:
            found.append(LiveRow.model_validate(as_dict(row)))
        except ValueError as error:
            try:  # what was known of its agent is the only part that another version writes in its own way
                found.append(LiveRow.model_validate(as_dict(row) | {"followed": {}}))
                _log.error("what was known of %s is not understood, and is left out: %s", row["runner_id"], error)
            except ValueError:
                _log.error("the row of %s is not understood, and it is not watched: %s", row["runner_id"], error)
    return found


async def adopt(connection: Connection, runner_ids: Sequence[str], daemon_id: UUID) -> None:
    """Say which daemon watches these runners now."""
    await connection.execute(SQL.adopt, list(runner_ids), daemon_id)


async def is_current(connection: Connection, runner_id: str) -> bool:
    """Whether a runner is the one that its session has now, and its end is not recorded."""
    current: bool = await connection.fetchval(SQL.is_current, runner_id)
    return current


async def is_ended(connection: Connection, runner_id: str) -> bool:
    """Whether the end of a runner is recorded (or it never was)."""
    ended = await connection.fetchval(SQL.is_ended, runner_id)
    return ended is not False


async def ended_of(connection: Connection, runner_ids: Sequence[str]) -> set[str]:
    """Of these runners, those whose end is recorded."""
    return {row["id"] for row in await connection.fetch(SQL.ended_of, list(runner_ids))}


async def flush(connection: Connection, seen: Sequence[Sighting]) -> dict[str, int]:
    """Write what the monitor saw of many runners, in one statement. Returns the tokens of their sessions so far."""
    rows = await connection.fetch(
        SQL.flush,
        [one.runner_id for one in seen],
        [one.seen.activity for one in seen],
        [one.seen.question for one in seen],
        [one.seen.reply for one in seen],
        [one.seen.prompted_at for one in seen],
        [one.seen.turn_ended_at for one in seen],
        [one.seen.turn_failed for one in seen],
        [one.followed.model_dump(mode="json") for one in seen],
        [one.memory_mb for one in seen],
        [one.cpu_percent for one in seen],
        [one.attached for one in seen],
    )
    return {row["id"]: row["tokens"] for row in rows}


async def views(
    connection: Connection, *, project: str | None = None, ended: bool = False, session_id: str | None = None
) -> list[RunnerView]:
    """Runners in the order of their creation; ended ones only if asked for."""
    rows = await connection.fetch(SQL.views, project, ended, session_id)
    return [RunnerView.model_validate(as_dict(row)) for row in rows]


async def remember(connection: Connection, known: Mapping[str, Followed]) -> None:
    """Keep what is known of runners, for the next daemon, or for the runner after one that ends."""
    if known:
        await connection.execute(SQL.remember, list(known), [one.model_dump(mode="json") for one in known.values()])


async def remembered(connection: Connection, session_id: str, before: int) -> Followed:
    """What was known at its end of the last runner before a generation."""
    found = await connection.fetchval(SQL.remembered, session_id, before)
    try:
        return Followed.model_validate(found or {})
    except ValueError as error:  # a session is not held up by it
        _log.error("what was known of the last runner of %s is not understood: %s", session_id, error)
        return Followed()


async def came_from_elsewhere(connection: Connection, runner_id: str) -> bool:
    """Whether the last runner of the session before this one ran on another host."""
    return bool(await connection.fetchval(SQL.came_from_elsewhere, runner_id))


async def turn(connection: Connection, session_id: str) -> Turn | None:
    """How far the current runner of a session is with what it was told."""
    row = await connection.fetchrow(SQL.turn, session_id)
    return Turn.model_validate(as_dict(row)) if row else None


async def counts(connection: Connection) -> dict[str, int]:
    """How many runners have each status, for ever."""
    return {row["status"]: row["n"] for row in await connection.fetch(SQL.counts)}


@dataclass(frozen=True)
class LeftBehind:
    """A runner that ended with its host's lease, and may have written more than was read."""

    runner_id: str
    session_id: str
    project: str
    agent: str
    cwd: str
    began: datetime
    conversations: tuple[str, ...]
    """The agent's own ids of those that are known of its session."""


async def left_behind(connection: Connection, host: str, *, but: Sequence[str] = ()) -> list[LeftBehind]:
    """Those of a host whose rest is not counted yet, a few of them; not those that are looked at later."""
    rows = await connection.fetch(SQL.left_behind, host, list(but))
    return [LeftBehind(**(as_dict(row) | {"conversations": tuple(row["conversations"])})) for row in rows]


async def rest_counted(connection: Connection, runner_id: str) -> None:
    """What it had written is counted."""
    await connection.execute(SQL.rest_counted, runner_id)


async def uncounted(connection: Connection) -> dict[str, int]:
    """How many runners of hosts that are back wrote what is not counted yet, minutes after their ends were recorded."""
    return {row["host"]: row["n"] for row in await connection.fetch(SQL.uncounted)}
