"""What runners look like: activity, memory, CPU. Seen for all at once, written in one transaction."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from stratavore.agents.adapter import Judgement, Observation
from stratavore.agents.registry import adapter_for
from stratavore.events.envelope import NewEvent
from stratavore.runtime import logs
from stratavore.runtime.processes import Usage, measure
from stratavore.store import runners, sessions
from stratavore.store.database import Database
from stratavore.store.runners import Followed, Sighting
from worker.watched import Watched

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""Between two looks: half of it is how long, on average, a hook waits to be heard."""
_AT_ONCE = 4 * 1024**2
_UNSEEN = Observation(alive_seconds=0.0, quiet_seconds=None)


@dataclass(frozen=True)
class _Change:
    """A runner that is not as it was last written."""

    watched: Watched
    now: Judgement
    followed: Followed
    at: datetime

    @property
    def of_activity(self) -> bool:
        """Whether it does something else, or asks something else."""
        before = self.watched.shown
        return (self.now.activity, self.now.question) != (before.activity, before.question)


class Sightings:
    """Looks at runners; keeps only what it needs for the next look."""

    def __init__(self, database: Database, *, measure_seconds: float) -> None:
        self._database = database
        self._measure_seconds = measure_seconds
        self._next_measurement = 0.0
        self._cpu: dict[str, tuple[float, float]] = {}

    async def look(self, watched: Sequence[Watched]) -> None:
        """Hear hooks, judge activities; now and then measure. What changed is written, with its events."""
        alive = [one for one in watched if one.ending is None]
        changes = [change for one in alive if (change := _change(one))]
        usage: dict[str, Usage] = {}
        if monotonic() >= self._next_measurement:  # a pass over all processes of the machine
            self._next_measurement = monotonic() + self._measure_seconds
            usage = await asyncio.to_thread(self._measure, alive)
        if changes or usage:
            await self._write(alive, changes, usage)

    def _measure(self, alive: Sequence[Watched]) -> dict[str, Usage]:
        for one in alive:
            try:
                logs.trim_log(one.run.log)
            except OSError as error:  # a full disk: the log grows on, and all else is seen as before
                log.warning("the log of %s was not shortened: %s", one.runner_id, error)
        return measure({one.runner_id: one.identity.pid for one in alive})

    def _cpu_percent(self, runner_id: str, usage: Usage) -> float | None:
        """Of one core, since the last measurement."""
        before, now = self._cpu.get(runner_id), monotonic()
        self._cpu[runner_id] = (now, usage.cpu_seconds)
        if before is None or now <= before[0]:
            return None
        return max(0.0, 100 * (usage.cpu_seconds - before[1]) / (now - before[0]))

    async def _write(self, alive: Sequence[Watched], changes: Sequence[_Change], usage: dict[str, Usage]) -> None:
        changed = {change.watched.runner_id: change for change in changes}
        if usage:
            self._cpu = {runner_id: kept for runner_id, kept in self._cpu.items() if runner_id in usage}
        seen = [
            self._sighting(one, changed.get(one.runner_id), usage.get(one.runner_id))
            for one in alive
            if one.runner_id in usage or one.runner_id in changed
        ]
        async with self._database.transaction("monitor.flush") as transaction:
            await runners.flush(transaction.connection, seen)
            for change in changes:
                if (conversation := change.now.agent_session_id) != change.watched.shown.agent_session_id:
                    assert conversation is not None, "what is known of a conversation is never forgotten"
                    await sessions.follow(transaction.connection, change.watched.runner_id, conversation)
                if change.of_activity:
                    transaction.emit(_event(change))
        for change in changes:
            change.watched.shown = change.now
            change.watched.followed = change.followed

    def _sighting(self, one: Watched, change: _Change | None, usage: Usage | None) -> Sighting:
        return Sighting(
            one.runner_id,
            change.now if change else one.shown,
            change.followed if change else one.followed,
            usage.memory_mb if usage else None,
            self._cpu_percent(one.runner_id, usage) if usage else None,
        )


def judge(one: Watched) -> Judgement:
    """What a runner's agent is doing, by all that it has told until now."""
    if adapter_for(one.agent).hooks:
        _hear_hooks(one)
    return one.follower.judge(one.observe())


def _change(one: Watched) -> _Change | None:
    now = judge(one)
    if now == one.shown and one.hooks_read == one.followed.hooks_read:
        return None
    followed = Followed(hooks_read=one.hooks_read, agent=one.follower.state())
    return _Change(one, now, followed, datetime.now(UTC))


def _hear_hooks(one: Watched) -> None:
    """Hear the whole lines that have come since the last look."""
    try:
        if one.run.hooks.stat().st_size <= one.hooks_read:
            return
        with one.run.hooks.open("rb") as file:
            file.seek(one.hooks_read)
            text = file.read(_AT_ONCE)
    except OSError:
        return
    whole = text[: text.rfind(b"\n") + 1]
    for line in whole.splitlines():
        one.follower.hook(line)
        told = one.follower.judge(_UNSEEN)
        if told.transcript and told.agent_session_id:
            one.entered[told.transcript] = told.agent_session_id
    one.hooks_read += len(whole)


def _event(change: _Change) -> NewEvent:
    one = change.watched
    data = {
        "runner_id": one.runner_id,
        "activity": change.now.activity,
        "was": one.activity,
        "at": change.at.isoformat(),
    }
    if change.now.question:
        data["question"] = change.now.question
    return NewEvent(
        session_id=one.session_id,
        key=f"{one.runner_id}/activity/{change.at.timestamp():.6f}",
        type="runner.activity",
        project=one.project,
        data=data,
    )
