"""The end of a runner: found, with all that it wrote, and told to its workflow for as long as it takes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.agents.registry import adapter_for
from stratavore.cancelling import strays_fail
from stratavore.events.envelope import EventType, NewEvent
from stratavore.killpoints import effect
from stratavore.models.states import RunnerStatus, SessionState
from stratavore.models.steps import RecordRequest, RunnerExit
from stratavore.operators import user_name
from stratavore.procfs import owner
from stratavore.runtime.host import RunnerHost
from stratavore.runtime.processes import TICKS, ProcessIdentity
from stratavore.runtime.rundir import ExitRecord
from stratavore.signals import wake
from stratavore.store import runners
from stratavore.store.database import Database
from stratavore.store.record import record
from worker.provider_limits import ProviderLimits
from worker.reading import REFUSED
from worker.sightings import judge_dead
from worker.transcripts import Transcripts
from worker.watched import Watched

log = logging.getLogger(__name__)

LONGEST_RETRY_SECONDS = 10.0
RECORD_SECONDS = 10.0
"""So long a workflow may take to record an end that it was told of, before it is told again."""
READ_TRIES = 8
"""Of a transcript at its runner's end, within about 15 s."""


class Ends:
    """Finds how runners ended, and tells it."""

    def __init__(
        self,
        database: Database,
        client: Client,
        host: RunnerHost,
        host_name: str,
        transcripts: Transcripts,
        limits: ProviderLimits,
        go_on: Callable[[str, str], Awaitable[None]],
        following: asyncio.Lock,
    ) -> None:
        """``go_on`` starts the workflow of a session again that Temporal has lost, with this runner of it.

        ``following`` is as in :class:`~worker.sightings.Sightings`.
        """
        self._database = database
        self._client = client
        self._host = host
        self._host_name = host_name
        self._transcripts = transcripts
        self._limits = limits
        self._go_on = go_on
        self._following = following

    async def at_once(self, watched: Watched) -> RunnerExit:
        """How a runner ended that ended before it could be watched; whoever launched it hears it, and tells it."""
        lines = await self._finish(watched)
        await self._transcripts.drain(watched)
        return _exit_of(watched, watched.run.exit(), timedelta(0), lines)

    async def see_to(self, watched: Watched) -> None:
        """Clean up after the runner, and tell its workflow for as long as it takes: until its end is recorded."""
        died_at = datetime.now(UTC)
        delay = 0.05
        while True:
            try:
                with strays_fail():
                    if watched.end is None:
                        watched.end = await self._find_end(watched, died_at)
                    if await self._tell(watched, watched.end):
                        break
            except Exception as error:
                log.warning(
                    "the end of %s could not be told, and is told again: %s",
                    watched.runner_id,
                    str(error) or type(error).__name__,
                )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)

    async def _find_end(self, watched: Watched, died_at: datetime) -> RunnerExit:
        lines = await self._finish(watched)
        await self._drain(watched)
        await self._remember(watched)
        # Read last: its wrapper may have been told meanwhile what it was that ended the agent.
        exit_record = watched.run.exit()
        hold = await self._limits.note(watched)
        # From here on `supervise` may tell it too, and what comes later counts no more.
        end = _exit_of(watched, exit_record, lived(watched, exit_record, died_at), lines)
        return end.model_copy(update={"hold": hold})

    async def _finish(self, watched: Watched) -> str:
        """End what it left. Who of that is not ours to end is told, and its session goes on."""
        finished = await self._host.finish(watched.runner_id, watched.project_id)
        if finished.out_of_reach:
            async with self._database.transaction("monitor.out_of_reach") as transaction:
                transaction.emit(_out_of_reach(watched, finished.out_of_reach, self._host_name))
        return finished.lines

    async def _drain(self, watched: Watched) -> None:
        """Read what it wrote to the end. What cannot be read though Postgres answers is told, and its end goes on."""
        try:
            await self._transcripts.drain(watched)
        except Exception as error:
            async with self._database.pool.acquire() as connection:
                await connection.fetchval("SELECT 1")  # who is away is waited for: then nothing was tried
            watched.failed_reads += 1
            if watched.failed_reads < READ_TRIES:
                raise
            reason = str(error) or type(error).__name__
            log.error("the transcript of %s is set aside, since it cannot be read: %s", watched.runner_id, reason)
            async with self._database.transaction("monitor.set_aside") as transaction:
                transaction.emit(_set_aside(watched, reason))

    async def _remember(self, watched: Watched) -> None:
        """Keep what is known of it for the runner after it, with all that it told until its end."""
        if not watched.tells:
            return
        judge_dead(watched)
        try:
            async with self._following, self._database.pool.acquire() as connection:
                await runners.remember(connection, {watched.runner_id: watched.known})
        except REFUSED as error:
            log.error("what %s knew at its end is set aside, since Postgres refuses it: %s", watched.runner_id, error)

    async def _tell(self, watched: Watched, end: RunnerExit) -> bool:
        """Complete the supervision. "Not found" is a question to ask of Postgres, never an end."""
        workflow_id = naming.workflow_id(watched.session_id)
        handle = self._client.get_async_activity_handle(
            workflow_id=workflow_id, run_id=None, activity_id=watched.runner_id
        )
        try:
            with effect("monitor.complete"):
                await handle.complete(end)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            if await self._is_recorded(watched):
                return True
            return await self._record_without_workflow(workflow_id, watched, end)
        return await self._is_recorded_soon(watched)

    async def _is_recorded_soon(self, watched: Watched) -> bool:
        """Wait until its workflow has recorded the end. Until then it is watched: else it would seem to run unseen."""
        last, delay = monotonic() + RECORD_SECONDS, 0.05
        while monotonic() < last:
            await asyncio.sleep(delay)
            if await self._is_recorded(watched):
                return True
            delay = min(delay * 2, 1.0)
        return False

    async def _is_recorded(self, watched: Watched) -> bool:
        async with self._database.pool.acquire() as connection:
            return await runners.is_ended(connection, watched.runner_id)

    async def _record_without_workflow(self, workflow_id: str, watched: Watched, end: RunnerExit) -> bool:
        """A workflow that somebody terminated decides nothing any more: its runner's end is the session's.

        One that Temporal does not even know was lost, and is started again.
        """
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
            if description.status is WorkflowExecutionStatus.RUNNING:
                return False  # between two runs, or before the supervision was scheduled
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await self._go_on(watched.session_id, watched.runner_id)
            return False  # the workflow asks for the end, or hears it the next time
        recorded = await record(
            self._database,
            RecordRequest(
                session_id=watched.session_id,
                step=f"{watched.runner_id}/without-workflow",
                project=watched.project,
                state=SessionState.ENDED,
                reason=f"{end.reason}; its workflow had been terminated",
                release=True,
                exit=end,
                status=RunnerStatus.TERMINATED,
            ),
        )
        for session_id in recorded.grants:
            # Nobody else tells them of their slots; who does not hear it asks by itself, minutes later.
            with suppress(RPCError):
                await wake(self._client, session_id)
        return True


def lived(watched: Watched, exit_record: ExitRecord | None, died_at: datetime) -> timedelta:
    """How long its process lived: by the ticks of the machine where its end is known so, since a clock may be set."""
    began, ended = watched.identity.start_ticks, watched.run.ended_ticks()
    if exit_record and began and ended:
        return timedelta(seconds=(ended - began) / TICKS)
    return (exit_record.at if exit_record else died_at) - watched.started_at


def _exit_of(watched: Watched, exit_record: ExitRecord | None, lived: timedelta, lines: str) -> RunnerExit:
    """How a runner ended, for its workflow."""
    kind, reason = adapter_for(watched.agent).classify_exit(exit_record, watched.run.spec())
    return RunnerExit(
        runner_id=watched.runner_id,
        kind=kind,
        code=exit_record.code if exit_record else None,
        signals=exit_record.signals if exit_record else (),
        at=exit_record.at if exit_record else datetime.now(UTC),
        lived=max(lived, timedelta(0)),
        reason=reason,
        last_lines=lines,
    )


def _out_of_reach(watched: Watched, processes: Sequence[ProcessIdentity], host: str) -> NewEvent:
    pids = [str(each.pid) for each in processes]
    owners = {user_name(uid) for each in processes if (uid := owner(each.pid)) is not None}
    whose = " and ".join(sorted(owners)) or "another user"
    data = {
        "runner_id": watched.runner_id,
        "host": host,
        "pids": [each.pid for each in processes],
        "severity": "warning",
        "message": f"The session {naming.short(watched.session_id)} left what the daemon has no right to end, "
        f"processes of {whose} on the host {host}: {', '.join(pids)}",
        "advice": f"the session goes on. Look at them there: ps -fp {','.join(pids)}; "
        f"to end them: sudo kill {' '.join(pids)}",
    }
    key = f"{watched.runner_id}/out-of-reach"
    return NewEvent(watched.session_id, key, EventType.SYSTEM_ALERT, watched.project, data)


def _set_aside(watched: Watched, reason: str) -> NewEvent:
    data = {
        "runner_id": watched.runner_id,
        "severity": "warning",
        "message": f"What the runner {watched.runner_id} wrote last could not be read: {reason}",
        "advice": "its file is kept where the agent wrote it, and is read on when the session runs again",
    }
    key = f"{watched.runner_id}/transcript"
    return NewEvent(watched.session_id, key, EventType.SYSTEM_ALERT, watched.project, data)
