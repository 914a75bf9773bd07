"""Schedules that launch sessions: Temporal has them, and nobody beside it."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from temporalio.client import (
    ScheduleActionExecution,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionResult,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)

from stratavore import naming, quotas, targets
from stratavore.budgets import check_timezone
from stratavore.control.launching import Launching
from stratavore.cron import Cron
from stratavore.errors import (
    InvalidInput,
    ScheduleBusy,
    ScheduleExists,
    ScheduleWaits,
    StratavoreError,
    UnknownSchedule,
)
from stratavore.killpoints import effect
from stratavore.launch_options import LaunchOptions
from stratavore.models.schedules import ScheduleDeleted, ScheduledLaunch, ScheduleView, session_of_run
from stratavore.models.states import Overlap
from stratavore.models.views import SessionView
from stratavore.near_names import did_you_mean
from stratavore.servers import launch_schedules
from stratavore.servers.launch_schedules import Found
from stratavore.store import sessions

MOST_OF_A_NAME = 100
"""Schedules of a project that are named after it, each with another number."""
BEGIN_SECONDS = 5.0
"""What a launch that was asked for may take to be seen."""
_AT_ONCE = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_Last = tuple[str, datetime] | None


class Schedules(Launching):
    """Launches at set times."""

    async def create_schedule(
        self,
        project: str,
        schedule_id: str,
        cron: str,
        prompt: str | None,
        name: str | None = None,
        timezone: str = "UTC",
        overlap: str = Overlap.SKIP,
        options: Mapping[str, Any] | None = None,
        interactive: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> ScheduleView:
        """Make a schedule. Repeating it with the same id is harmless.

        Args:
            project: where it launches sessions.
            schedule_id: a new UUID.
            cron: when.
            prompt: what the agent is told each time.
            name: what it is called; None: as its project, with a number if that is taken.
            timezone: whose clock it follows.
            overlap: what happens if the last session has not ended.
            options: of :class:`LaunchOptions`, as JSON values; the project says at each launch what they leave open.
            interactive: with a terminal; the session then lasts until somebody ends it.
            limits: of each session's own, from its first moment; by either spelling of their names.

        Raises:
            InvalidInput: a value is none.
            ScheduleExists: the name is taken.
        """
        times = Cron.parse(cron)
        check_timezone(timezone)
        if overlap not in tuple(Overlap):
            raise InvalidInput(reason=f"There is no overlap '{overlap}'; there is: {', '.join(Overlap)}")
        if name is not None and not _NAME.fullmatch(name):
            raise InvalidInput(
                reason=f"'{name}' cannot be a schedule's name: use letters, digits, '.', '_' and '-', at most 80, "
                "starting with a letter or digit"
            )
        if not prompt and not interactive:
            raise InvalidInput(reason="Nobody will be there to say what is to be done: say it with --prompt")
        own = quotas.check_own(limits or {})
        said = LaunchOptions.of(options or {})
        kept = self._home.schedule_environment(schedule_id)
        found, _ = await self._prepared(project, said, prompt, kept, headless=not interactive)
        launch = ScheduledLaunch(
            schedule_id=schedule_id,
            name=name or project,
            project_id=found.project_id,
            project=project,
            host=said.host or found.host or self._host,
            cron=times.text,
            prompt=prompt,
            options=said.as_json(),
            headless=not interactive,
            limits=own,
        )
        names = [name] if name else [project, *(f"{project}-{number}" for number in range(2, MOST_OF_A_NAME + 1))]
        for one in names:
            launch = launch.model_copy(update={"name": one})
            with effect("schedule.create"):
                made = await launch_schedules.create(self._client, launch, times, timezone, Overlap(overlap))
            if made:
                return await self._view(await self._schedule(one))
        other = await launch_schedules.find(self._client, names[0])
        raise ScheduleExists(name=names[0], project=other.launch.project if other else project)

    async def list_schedules(self, project: str | None = None) -> list[ScheduleView]:
        """All schedules that launch sessions, by name; of one project only, if it is named."""
        if project is not None:
            async with self._database.pool.acquire() as connection:
                await targets.project(connection, project)
        turn = asyncio.Semaphore(_AT_ONCE)

        async def look(name: str) -> ScheduleView | None:
            async with turn:
                found = await launch_schedules.find(self._client, name)
                if found is None or project not in (None, found.launch.project):
                    return None
                return await self._view(found)

        views = await asyncio.gather(*map(look, await launch_schedules.names(self._client)))
        return [one for one in views if one is not None]

    async def schedule_names(self) -> list[str]:
        """What all are called, for the completion of words."""
        return await launch_schedules.names(self._client)

    async def pause_schedule(self, name: str, paused: bool = True) -> ScheduleView:
        """Let a schedule rest, or, with ``paused`` False, go on. What it has launched goes on.

        Raises:
            UnknownSchedule: there is none of the name.
        """
        found = await self._schedule(name)
        if found.described.schedule.state.paused != paused:
            with effect("schedule.pause"):
                await launch_schedules.pause(self._client, found, paused=paused)
        return await self._view(await self._schedule(name))

    async def run_schedule(self, name: str, request_id: str) -> ScheduleView:
        """Launch now what the schedule launches; of one request once.

        Raises:
            UnknownSchedule: there is none of the name.
            ScheduleBusy: it launches nothing while its last session lives.
            ScheduleWaits: nor while its last launch waits for its host.
        """
        found = await self._schedule(name)
        if found.overlap == Overlap.SKIP and (lives := found.described.info.running_actions):
            raise await self._busy(found.launch, lives[-1])
        if found.described.info.recent_actions:
            await _another_second(found.described.info.recent_actions[-1].scheduled_at)
        before = _come(found)
        with effect("schedule.run"):
            await launch_schedules.trigger(self._client, name, request_id)
        deadline = monotonic() + BEGIN_SECONDS
        while _come(found) == before and monotonic() < deadline:
            await asyncio.sleep(0.1)
            found = await self._schedule(name)
        return await self._view(found)

    async def delete_schedule(self, name: str, schedule_id: str) -> ScheduleDeleted:
        """Delete a schedule; what it has launched goes on.

        Args:
            name: which.
            schedule_id: its id, so that a repeated call never deletes another one of the name.
        """
        found = await launch_schedules.find(self._client, name)
        if found is None or found.launch.schedule_id != schedule_id:
            return ScheduleDeleted(name=name, deleted=False)
        with effect("schedule.delete"):
            await launch_schedules.delete(self._client, name)
        await asyncio.to_thread(self._home.schedule_environment(schedule_id).unlink, missing_ok=True)
        return ScheduleDeleted(name=name, deleted=True)

    async def show_schedule(self, name: str) -> ScheduleView:
        """One schedule.

        Raises:
            UnknownSchedule: there is none of the name.
        """
        return await self._view(await self._schedule(name))

    async def _schedule(self, name: str) -> Found:
        found = await launch_schedules.find(self._client, name) if _NAME.fullmatch(name) else None
        if found is None:
            raise UnknownSchedule(name=name, near=did_you_mean(name, await launch_schedules.names(self._client)))
        return found

    async def _busy(self, launch: ScheduledLaunch, run: ScheduleActionExecution) -> StratavoreError:
        """What to say of a run that is in the way of the next one."""
        session_id = _session_of(run)
        if await self._session(session_id) is None:
            return ScheduleWaits(name=launch.name, host=launch.host)
        return ScheduleBusy(name=launch.name, session=naming.short(session_id))

    async def _view(self, found: Found) -> ScheduleView:
        launch, schedule, info = found.launch, found.described.schedule, found.described.info
        last = _last(found)
        session = await self._session(last[0]) if last else None
        failure = await self._failure(info.recent_actions[-1]) if last and session is None else None
        paused = schedule.state.paused
        return ScheduleView(
            schedule_id=launch.schedule_id,
            name=launch.name,
            project=launch.project,
            cron=launch.cron,
            timezone=schedule.spec.time_zone_name or "UTC",
            overlap=found.overlap,
            host=launch.host,
            interactive=not launch.headless,
            paused=paused,
            created_at=info.created_at,
            next_at=None if paused else next((one for one in info.next_action_times if one > datetime.now(UTC)), None),
            last_at=last[1] if last else None,
            last_session_id=last[0] if last else None,
            last_state=session.state if session else None,
            last_failure=failure,
            buffered=_buffered(found),
            skipped=info.num_actions_skipped_overlap,
            missed=info.num_actions_missed_catchup_window,
        )

    async def _session(self, session_id: str) -> SessionView | None:
        async with self._database.pool.acquire() as connection:
            return next(iter(await sessions.views(connection, ids=[session_id], ended=True)), None)

    async def _failure(self, run: ScheduleActionResult) -> str | None:
        """Why a run launched nothing; None: it has not come to that."""
        assert isinstance(run.action, ScheduleActionExecutionStartWorkflow)
        handle = self._client.get_workflow_handle(run.action.workflow_id, run_id=run.action.first_execution_run_id)
        if (await handle.describe()).status is not WorkflowExecutionStatus.FAILED:
            return None
        try:
            await handle.result()
        except WorkflowFailureError as error:
            return str(error.cause)
        return None


def _last(found: Found) -> _Last:
    """The session of its last run, and when that began."""
    for run in reversed(found.described.info.recent_actions):
        return _session_of(run.action), run.started_at
    return None


def _buffered(found: Found) -> int:
    return int(found.described.raw_description.info.buffer_size)


def _come(found: Found) -> int:
    """How many launches have begun, or wait for the end of another."""
    return found.described.info.num_actions + _buffered(found)


def _session_of(run: ScheduleActionExecution) -> str:
    assert isinstance(run, ScheduleActionExecutionStartWorkflow)
    return session_of_run(run.workflow_id, run.first_execution_run_id)


async def _another_second(last: datetime) -> None:
    """Wait until the second is over: Temporal names runs by it, and of two with one name starts one."""
    gone = (datetime.now(UTC) - last.replace(microsecond=0)).total_seconds()
    await asyncio.sleep(max(0.0, min(1.0 - gone, 1.0)))
