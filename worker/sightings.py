"""What runners look like: activity, memory, CPU. Seen for all at once, written in one transaction."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from stratavore.agents.adapter import Judgement, Observation
from stratavore.errors import StratavoreError
from stratavore.events.envelope import NewEvent
from stratavore.runtime import logs
from stratavore.runtime.processes import Snapshot, Usage, measure
from stratavore.store import runners, sessions
from stratavore.store.database import Database
from stratavore.store.runners import Followed, Sighting
from worker.reading import REFUSED
from worker.watched import Watched

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""Between two looks: half of it is how long, on average, a hook waits to be heard."""
_AT_ONCE = 4 * 1024**2
"""Bytes of hooks; no line is longer."""
_UNSEEN = Observation(alive_seconds=0.0, quiet_seconds=None)


@dataclass(frozen=True)
class _Measured:
    """What runners used at one moment, by their ids."""

    at: float
    """By the monotonic clock."""
    usage: Mapping[str, Usage]


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

    def __init__(self, database: Database, following: asyncio.Lock, *, interval: float, measure_seconds: float) -> None:
        """Every ``interval`` seconds all runners are judged; between that those that are restless or tell something.

        ``following`` is held by whoever writes what is known of runners: what was known later is written later.
        """
        self._database = database
        self._following = following
        self._interval = interval
        self._measure_seconds = measure_seconds
        self._next_judgement = 0.0
        self._next_measurement = 0.0
        self._cpu: dict[str, tuple[float, float]] = {}

    async def look(self, watched: Sequence[Watched]) -> None:
        """Hear hooks, judge activities; now and then measure. What changed is written, with its events."""
        measured = _Measured(monotonic(), {})
        if monotonic() >= self._next_measurement:  # a pass over all processes of the machine
            self._next_measurement = monotonic() + self._measure_seconds
            try:
                measured = await asyncio.to_thread(self._measure, [one for one in watched if one.ending is None])
            except StratavoreError as error:  # what they do is seen all the same
                log.warning("the monitor could not measure runners, and tries again: %s", error)
        async with self._following:
            alive = [one for one in watched if one.ending is None]
            every = monotonic() >= self._next_judgement
            if every:
                self._next_judgement = monotonic() + self._interval
            looked_at = alive if every else [one for one in alive if one.restless or one.told_more]
            changes = [change for one in looked_at if (change := _change(one))]
            if changes or measured.usage:
                await self._write(alive, changes, measured)

    def _measure(self, alive: Sequence[Watched]) -> _Measured:
        for one in alive:
            try:
                logs.trim_log(one.run.log)
            except OSError as error:  # a full disk: the log grows on, and all else is seen as before
                log.warning("the log of %s was not shortened: %s", one.runner_id, error)
        at, snapshot = monotonic(), Snapshot()
        for one in alive:
            try:
                _keep_descendants(snapshot, one)
            except OSError as error:
                log.warning("the processes of %s were not written down: %s", one.runner_id, error)
        return _Measured(at, measure(snapshot, {one.runner_id: one.identity.pid for one in alive}))

    def _cpu_percent(self, runner_id: str, usage: Usage, at: float) -> float | None:
        """Of one core, since the last measurement: by when each was made, which may be long before it is written."""
        before = self._cpu.get(runner_id)
        self._cpu[runner_id] = (at, usage.cpu_seconds)
        if before is None or at <= before[0]:
            return None
        return max(0.0, 100 * (usage.cpu_seconds - before[1]) / (at - before[0]))

    async def _write(self, alive: Sequence[Watched], changes: Sequence[_Change], measured: _Measured) -> None:
        changed = {change.watched.runner_id: change for change in changes}
        usage = measured.usage
        if usage:
            self._cpu = {runner_id: kept for runner_id, kept in self._cpu.items() if runner_id in usage}
        seen = [
            self._sighting(one, changed.get(one.runner_id), usage.get(one.runner_id), measured.at)
            for one in alive
            if one.runner_id in usage or one.runner_id in changed
        ]
        try:
            tokens = await self._flush(seen, changes)
        except REFUSED:
            tokens = {}
            for sighting in seen:
                tokens |= await self._flush_alone(sighting, changed.get(sighting.runner_id))
        for one in alive:
            one.tokens = tokens.get(one.runner_id, one.tokens)
        for change in changes:
            change.watched.shown = change.now
            change.watched.followed = change.followed

    async def _flush(self, seen: Sequence[Sighting], changes: Sequence[_Change]) -> dict[str, int]:
        async with self._database.transaction("monitor.flush") as transaction:
            tokens = await runners.flush(transaction.connection, seen)
            for change in changes:
                conversation = change.now.agent_session_id  # None: not told to this daemon
                if conversation and conversation != change.watched.shown.agent_session_id:
                    await sessions.follow(transaction.connection, change.watched.runner_id, conversation)
                # Of one that is not the current one any more nothing is told: its end may have been told already.
                if change.of_activity and change.watched.runner_id in tokens:
                    transaction.emit(_event(change))
        return tokens

    async def _flush_alone(self, one: Sighting, change: _Change | None) -> dict[str, int]:
        try:
            return await self._flush([one], [change] if change else [])
        except REFUSED as error:
            log.error("what was seen of %s is set aside, since Postgres refuses it: %s", one.runner_id, error)
            return {}

    def _sighting(self, one: Watched, change: _Change | None, usage: Usage | None, at: float) -> Sighting:
        return Sighting(
            one.runner_id,
            change.now if change else one.shown,
            change.followed if change else one.followed,
            usage.memory_mb if usage else None,
            self._cpu_percent(one.runner_id, usage, at) if usage else None,
            one.attached,
        )


def _keep_descendants(snapshot: Snapshot, one: Watched) -> None:
    """Write down who descends from the agent: at its end their parents are gone, and perhaps their marker."""
    before = one.descendants
    if before is None:
        before = frozenset(one.run.descendants())
    # Without what this daemon started, if it runs in a session itself: that is no agent's.
    now = frozenset(snapshot.living(before)) | (
        frozenset(snapshot.tree(one.identity)[1:]) - frozenset(snapshot.started_here())
    )
    if now != before:
        one.run.keep_descendants(sorted(now, key=lambda each: each.pid))
    one.descendants = now


def judge(one: Watched) -> Judgement:
    """What a runner's agent is doing, by all that it has told until now."""
    try:
        if one.told_more:
            _hear_hooks(one)
        return one.follower.judge(one.observe())
    except Exception:  # one that cannot be judged holds up neither the others nor its own end
        _say_stumbled(one)
        return one.shown


def judge_dead(one: Watched) -> Judgement:
    """The same of one that has died: nothing more comes, so all of its hooks are heard."""
    while True:
        before, judged = one.hooks_read, judge(one)
        if one.hooks_read == before:
            return judged


def _change(one: Watched) -> _Change | None:
    now = judge(one)
    if now == one.shown and one.hooks_read == one.followed.hooks_read:
        return None
    return _Change(one, now, one.known, datetime.now(UTC))


def _hear_hooks(one: Watched) -> None:
    """Hear the whole lines that have come since the last look."""
    try:
        with one.run.hooks.open("rb") as file:
            file.seek(one.hooks_read)
            text = file.read(_AT_ONCE)
    except OSError:
        return
    whole = text[: text.rfind(b"\n") + 1]
    one.hooks_read += len(whole) or (len(text) if len(text) == _AT_ONCE else 0)
    for line in whole.splitlines():
        try:
            one.follower.hook(line)
        except Exception:
            _say_stumbled(one)
        told = one.follower.judge(_UNSEEN)
        if told.transcript and told.agent_session_id:
            one.entered[told.transcript] = told.agent_session_id


def _say_stumbled(one: Watched) -> None:
    if not one.stumbled:
        one.stumbled = True
        log.exception("what %s told was not understood", one.runner_id)


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
