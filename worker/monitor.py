"""The host monitor: watches every runner of this host at once, and tells Temporal and Postgres what it sees.

It owns no fact. What it must know after a restart it reads from Postgres, the run directories and the kernel.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic, perf_counter, time
from uuid import UUID

from temporalio.client import AsyncActivityCancelledError, Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming, telemetry
from stratavore.agents.registry import adapter_for
from stratavore.cancelling import strays_fail
from stratavore.errors import StratavoreError
from stratavore.events.envelope import EventType, NewEvent
from stratavore.killpoints import effect
from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.steps import LaunchRequest, RecordRequest, RunnerExit, SuperviseRequest
from stratavore.paths import Home
from stratavore.runtime.host import RunnerHost, Started
from stratavore.runtime.processes import ProcessIdentity
from stratavore.runtime.rundir import ExitRecord, RunDirectory
from stratavore.runtime.tmux import Tmux
from stratavore.runtime.watch import ExitWatch
from stratavore.signals import wake
from stratavore.store import hosts, runners
from stratavore.store.connection import AWAY, Connection
from stratavore.store.database import Database
from stratavore.store.record import record
from stratavore.store.runners import Followed, LiveRow
from worker.provider_limits import LOOK_SECONDS as LIMITS_SECONDS
from worker.provider_limits import ProviderLimits
from worker.reading import REFUSED
from worker.screens import Screens
from worker.sightings import LOOK_SECONDS, Sightings, judge
from worker.terminals import Terminals
from worker.transcripts import LOOK_SECONDS as READ_SECONDS
from worker.transcripts import Transcripts
from worker.watched import Watched

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 60.0
HEARTBEATS_AT_ONCE = 20
MEASURE_EVERY = 15
"""Intervals between two measurements of memory and CPU."""
LONGEST_RETRY_SECONDS = 10.0
READ_TRIES = 8
"""Of a transcript at its runner's end, within about 15 s."""
ORPHAN_GRACE_SECONDS = 5.0

_NOBODY = ProcessIdentity(pid=0, start_ticks=0, boot_id="")
"""Of a runner that is dead already."""

_AWAY = (RPCError, *AWAY)


class HostMonitor:
    """Watches runners: exits by pidfd, output by the log files, memory in one pass."""

    def __init__(
        self,
        home: Home,
        host_name: str,
        daemon_id: UUID,
        database: Database,
        client: Client,
        host: RunnerHost,
        tmux: Tmux,
        go_on: Callable[[str, str], Awaitable[None]],
        *,
        interval: float,
    ) -> None:
        """``go_on`` starts the workflow of a session again that Temporal has lost, with this runner of it."""
        self.daemon_id = daemon_id
        self._home = home
        self._host_name = host_name
        self._database = database
        self._client = client
        self._host = host
        self._go_on = go_on
        self._interval = interval
        self._watched: dict[str, Watched] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._past: set[str] = set()
        """Runners that are ended since their ends are recorded already."""
        self._exits = ExitWatch(home, self._on_exit, self._on_orphan)
        self._sightings = Sightings(database, interval=interval, measure_seconds=MEASURE_EVERY * interval)
        self._screens = Screens(tmux, interval=interval)
        self._terminals = Terminals(tmux)
        self._limits = ProviderLimits(database, client)
        self._transcripts = Transcripts(home, host_name, database)

    def watched_runners(self) -> frozenset[str]:
        """The runners that are watched, or whose end is being told."""
        return frozenset(self._watched)

    def ending_runners(self) -> frozenset[str]:
        """Of those, the ones whose process is proven dead."""
        return frozenset(one.runner_id for one in self._watched.values() if one.ending is not None)

    async def recover(self) -> int:
        """Take over every runner of this host that has not ended. Returns how many.

        None while another daemon has the host's name: its runners are not here, and none of them is dead for that.
        """
        async with self._database.pool.acquire() as connection:
            if not await self.serves_host(connection):
                return 0
            rows = [row for row in await runners.live_of_host(connection, self._host_name) if row.agent_process]
            with effect("monitor.adopt"):
                await runners.adopt(connection, [row.runner_id for row in rows], self.daemon_id)
        taken = 0
        for number, row in enumerate(rows):
            try:
                self._take_over(row, number)
                taken += 1
            except Exception:  # one that cannot be watched holds up no other
                log.exception("the runner %s cannot be watched", row.runner_id)
        return taken

    def _take_over(self, row: LiveRow, number: int) -> None:
        assert row.agent_process is not None
        watched = Watched(
            row.runner_id,
            row.session_id,
            row.project_id,
            row.project,
            row.agent,
            row.agent_process,
            row.started_at or datetime.now(UTC),
            RunDirectory(self._home, row.runner_id),
            row.followed,
            row.shown,
            next_heartbeat=monotonic() + number * 0.02,
        )
        self._add(watched, row.wrapper_process)

    def watch(self, request: LaunchRequest, started: Started, followed: Followed) -> None:
        """Watch the processes of a runner from now on, of which this is known. Watching twice is watching once."""
        self._add(self._begun(request, started, followed), started.wrapper)

    def asks(self, runner_id: str) -> bool:
        """Whether its agent asks a person something, by all that it has told until now."""
        watched = self._watched.get(runner_id)
        return watched is not None and judge(watched).activity is Activity.WAITING

    def rests(self, runner_id: str) -> bool:
        """Whether its agent is known to wait for a prompt."""
        watched = self._watched.get(runner_id)
        return watched is not None and judge(watched).activity is Activity.IDLE

    def is_up(self, runner_id: str) -> bool:
        """Whether its agent has started, or has ended."""
        watched = self._watched.get(runner_id)
        return watched is None or watched.ending is not None or judge(watched).activity is not Activity.STARTING

    def answered(self, runner_id: str) -> None:
        """Its question was answered: it is not shown as asking any more."""
        if watched := self._watched.get(runner_id):
            watched.follower.answered(time())

    async def serves_host(self, connection: Connection) -> bool:
        """Whether this daemon is the one that has the host's name."""
        return await hosts.is_served_by(connection, self._host_name, self.daemon_id)

    async def supervise(self, request: SuperviseRequest) -> RunnerExit | None:
        """The workflow waits for this runner's end from now on; returns the end if it came first."""
        if request.runner_id not in self._watched:
            await self.recover()  # not ours to judge by memory alone: Postgres knows whether it should live
        watched = self._watched.get(request.runner_id)
        if watched is None:
            raise RuntimeError(f"the runner {request.runner_id} is recorded as ended, or has not run on this host")
        return watched.end

    async def judge(self, request: LaunchRequest, started: Started) -> RunnerExit:
        """How a runner ended that ended before it could be watched."""
        lines = await self._host.finish(request.runner_id, request.project_id)
        watched = self._begun(request, started)
        await self._transcripts.drain(watched)
        return _exit_of(watched, watched.run.exit(), timedelta(0), lines)

    async def run(self) -> None:
        """Look at all runners again and again, until cancelled. Whoever is away holds up nobody else."""
        await asyncio.gather(
            self._again(lambda: self._sightings.look(list(self._watched.values())), "tell Postgres", LOOK_SECONDS),
            self._again(lambda: self._screens.look(list(self._watched.values())), "look at screens", LOOK_SECONDS),
            self._again(lambda: self._transcripts.look(list(self._watched.values())), "keep transcripts", READ_SECONDS),
            self._again(lambda: self._terminals.look(list(self._watched.values())), "tell the terminals"),
            self._again(lambda: self._limits.look(list(self._watched.values())), "tell limits", LIMITS_SECONDS),
            self._again(self._heartbeat, "tell Temporal"),
        )

    async def end_past(self) -> None:
        """End agents whose ends others have recorded, who took this host for lost: their sessions go on elsewhere."""
        alive = [one.runner_id for one in self._watched.values() if one.ending is None]
        async with self._database.pool.acquire() as connection:
            ended = await runners.ended_of(connection, alive) if alive else set()
        for runner_id in ended - self._past:
            log.warning("the agent of %s is ended: its session goes on without this daemon", runner_id)
            self._past.add(runner_id)
            self._end_soon(self._watched[runner_id])

    async def close(self) -> None:
        """Stop watching; the runners go on."""
        self._exits.close()
        tasks = [*self._stops, *(watched.ending for watched in self._watched.values() if watched.ending)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, job: Callable[[], Awaitable[None]], name: str, interval: float | None = None) -> None:
        interval = min(interval or self._interval, self._interval)
        while True:
            began = monotonic()
            try:
                with strays_fail():
                    await job()
            except _AWAY as error:
                log.warning("the monitor could not %s, and tries again: %s", name, str(error) or type(error).__name__)
            except Exception:
                log.exception("the monitor failed in a way nobody thought of, and tries again")
            await asyncio.sleep(max(0.05, interval - (monotonic() - began)))

    def _begun(self, request: LaunchRequest, started: Started, followed: Followed | None = None) -> Watched:
        return Watched(
            request.runner_id,
            request.session_id,
            request.project_id,
            request.project,
            request.spec.agent,
            started.identity or _NOBODY,
            datetime.now(UTC),
            RunDirectory(self._home, request.runner_id),
            followed or Followed(),
            next_heartbeat=monotonic() + HEARTBEAT_SECONDS,
        )

    def _add(self, watched: Watched, wrapper: ProcessIdentity | None) -> None:
        if watched.runner_id in self._watched:
            return
        self._watched[watched.runner_id] = watched
        self._exits.add(watched.runner_id, watched.identity, wrapper)

    def _on_exit(self, runner_id: str) -> None:
        """Called once the agent is proven dead."""
        watched = self._watched[runner_id]
        watched.ending = asyncio.create_task(self._see_to_end(watched))

    def _on_orphan(self, runner_id: str) -> None:
        """End an agent that lost its terminal: nobody can reach it, and the session goes on in a new one."""
        watched = self._watched[runner_id]
        log.warning("the agent of %s lost its terminal and is ended", runner_id)
        self._end_soon(watched)

    def _end_soon(self, watched: Watched) -> None:
        task = asyncio.create_task(self._end_orphan(watched))
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)

    async def _end_orphan(self, watched: Watched) -> None:
        delay = 1.0
        while watched.ending is None:
            try:
                await self._host.stop(watched.runner_id, watched.project_id, grace=ORPHAN_GRACE_SECONDS, force=False)
            except (StratavoreError, OSError) as error:
                log.warning("an agent that is to end lives on, and is ended again: %s", error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)

    async def _see_to_end(self, watched: Watched) -> None:
        """Clean up after the runner, and tell its workflow for as long as it takes."""
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
        del self._watched[watched.runner_id]

    async def _find_end(self, watched: Watched, died_at: datetime) -> RunnerExit:
        lines = await self._host.finish(watched.runner_id, watched.project_id)
        await self._drain(watched)
        await self._remember(watched)
        # Read last: its wrapper may have been told meanwhile what it was that ended the agent.
        exit_record = watched.run.exit()
        ended_at = exit_record.at if exit_record else died_at
        hold = await self._limits.note(watched)
        # From here on `supervise` may tell it too, and what comes later counts no more.
        end = _exit_of(watched, exit_record, ended_at - watched.started_at, lines)
        return end.model_copy(update={"hold": hold})

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
        judge(watched)
        followed = Followed(hooks_read=watched.hooks_read, agent=watched.follower.state())
        try:
            async with self._database.pool.acquire() as connection:
                await runners.remember(connection, watched.runner_id, followed)
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
            async with self._database.pool.acquire() as connection:
                if await runners.is_ended(connection, watched.runner_id):
                    return True
            return await self._record_without_workflow(workflow_id, watched, end)
        return True

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

    async def _heartbeat(self) -> None:
        """Heartbeat for the supervisions that are due, a few at a time."""
        now = monotonic()
        due = [one for one in self._watched.values() if one.next_heartbeat <= now and one.end is None]
        gate = asyncio.Semaphore(HEARTBEATS_AT_ONCE)
        await asyncio.gather(*(self._heartbeat_one(one, gate) for one in due))

    async def _heartbeat_one(self, watched: Watched, gate: asyncio.Semaphore) -> None:
        async with gate:
            handle = self._client.get_async_activity_handle(
                workflow_id=naming.workflow_id(watched.session_id), run_id=None, activity_id=watched.runner_id
            )
            began = perf_counter()
            try:
                # Who pauses or resets it in the Web UI does not change that its runner is watched.
                with suppress(AsyncActivityCancelledError):
                    await handle.heartbeat()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    watched.next_heartbeat = monotonic() + 5
                    raise
            telemetry.HEARTBEAT_LATENCY.observe(perf_counter() - began)
            watched.next_heartbeat = monotonic() + HEARTBEAT_SECONDS


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


def _set_aside(watched: Watched, reason: str) -> NewEvent:
    data = {
        "runner_id": watched.runner_id,
        "severity": "warning",
        "message": f"What the runner {watched.runner_id} wrote last could not be read: {reason}",
        "advice": "its file is kept where the agent wrote it, and is read on when the session runs again",
    }
    key = f"{watched.runner_id}/transcript"
    return NewEvent(watched.session_id, key, EventType.SYSTEM_ALERT, watched.project, data)
