"""What runners look like from outside: activity, memory, CPU. Seen for all at once, written in one transaction."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, time

from stratavore.agents.adapter import Observation
from stratavore.agents.registry import adapter_for
from stratavore.events.envelope import NewEvent
from stratavore.models.states import Activity
from stratavore.paths import Home
from stratavore.runtime import logs
from stratavore.runtime.processes import Usage, measure
from stratavore.runtime.rundir import RunDirectory
from stratavore.store import runners
from stratavore.store.database import Database
from stratavore.store.runners import Sighting
from worker.watched import Watched

log = logging.getLogger(__name__)

MEASURE_EVERY = 15
"""Looks between two measurements, each a pass over all processes of the machine."""


@dataclass(frozen=True)
class _Change:
    """A runner whose activity is another one than was last written."""

    watched: Watched
    activity: Activity
    at: datetime


class Sightings:
    """Looks at runners; keeps only what it needs for the next look."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database
        self._looks_to_measure = 0
        self._cpu: dict[str, tuple[float, float]] = {}

    async def look(self, watched: Sequence[Watched]) -> None:
        """Judge activities; now and then measure. What changed is written, with its events."""
        alive = [one for one in watched if one.ending is None]
        changes = [change for one in alive if (change := self._judge(one))]
        usage: dict[str, Usage] = {}
        self._looks_to_measure -= 1
        if self._looks_to_measure < 0:
            self._looks_to_measure = MEASURE_EVERY
            usage = await asyncio.to_thread(self._measure, alive)
        if changes or usage:
            await self._write(alive, changes, usage)

    def _judge(self, watched: Watched) -> _Change | None:
        try:
            last_output = RunDirectory(self._home, watched.runner_id).log.stat().st_mtime
        except OSError:
            last_output = None
        now = time()
        activity = adapter_for(watched.agent).activity(
            Observation(
                alive_seconds=now - watched.started_at.timestamp(),
                quiet_seconds=None if last_output is None else now - last_output,
            )
        )
        if activity is watched.activity:
            return None
        return _Change(watched, activity, datetime.now(UTC))

    def _measure(self, alive: Sequence[Watched]) -> dict[str, Usage]:
        for one in alive:
            try:
                logs.trim_log(RunDirectory(self._home, one.runner_id).log)
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
        activities = {one.runner_id: one.activity for one in alive}
        activities |= {change.watched.runner_id: change.activity for change in changes}
        self._cpu = {runner_id: kept for runner_id, kept in self._cpu.items() if runner_id in activities}
        seen = [
            Sighting(
                runner_id,
                activity,
                usage[runner_id].memory_mb if runner_id in usage else None,
                self._cpu_percent(runner_id, usage[runner_id]) if runner_id in usage else None,
            )
            for runner_id, activity in activities.items()
            if usage or runner_id in {change.watched.runner_id for change in changes}
        ]
        async with self._database.transaction("monitor.flush") as transaction:
            await runners.flush(transaction.connection, seen)
            for change in changes:
                one = change.watched
                transaction.emit(
                    NewEvent(
                        session_id=one.session_id,
                        key=f"{one.runner_id}/activity/{change.at.timestamp():.6f}",
                        type="runner.activity",
                        project=one.project,
                        data={
                            "runner_id": one.runner_id,
                            "activity": change.activity,
                            "was": one.activity,
                            "at": change.at.isoformat(),
                        },
                    )
                )
        for change in changes:
            change.watched.activity = change.activity
