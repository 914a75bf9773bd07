"""The host monitor: watches every runner of this host at once, and tells Temporal and Postgres what it sees.

It owns no fact. What it must know after a restart it reads from Postgres, the run directories and the kernel.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic, time
from uuid import UUID

from temporalio.client import Client
from temporalio.service import RPCError

from stratavore.cancelling import strays_fail
from stratavore.errors import StratavoreError
from stratavore.killpoints import effect
from stratavore.models.states import Activity
from stratavore.models.steps import LaunchRequest, RunnerExit, SuperviseRequest
from stratavore.paths import Home
from stratavore.runtime.host import RunnerHost, Started
from stratavore.runtime.processes import ProcessIdentity
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import Tmux
from stratavore.runtime.watch import ExitWatch
from stratavore.store import hosts, runners
from stratavore.store.connection import AWAY, Connection
from stratavore.store.database import Database
from stratavore.store.runners import Followed, LiveRow
from worker.ends import Ends
from worker.heartbeats import HEARTBEAT_SECONDS, Heartbeats
from worker.provider_limits import LOOK_SECONDS as LIMITS_SECONDS
from worker.provider_limits import ProviderLimits
from worker.screens import Screens
from worker.sightings import LOOK_SECONDS, Sightings, judge
from worker.terminals import Terminals
from worker.transcripts import LOOK_SECONDS as READ_SECONDS
from worker.transcripts import Transcripts
from worker.watched import Watched

log = logging.getLogger(__name__)

MEASURE_EVERY = 15
"""Intervals between two measurements of memory and CPU."""
ORPHAN_GRACE_SECONDS = 5.0
LONGEST_ORPHAN_SECONDS = 10.0
"""Between two tries to end it."""

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
        self._interval = interval
        self._watched: dict[str, Watched] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._past: set[str] = set()
        """Runners that are ended since their ends are recorded already."""
        self._exits = ExitWatch(home, self._on_exit, self._on_orphan)
        following = asyncio.Lock()
        self._sightings = Sightings(database, following, interval=interval, measure_seconds=MEASURE_EVERY * interval)
        self._screens = Screens(tmux, interval=interval)
        self._terminals = Terminals(tmux)
        self._limits = ProviderLimits(database, client)
        self._transcripts = Transcripts(home, host_name, database, following)
        self._heartbeats = Heartbeats(client)
        self._ends = Ends(database, client, host, host_name, self._transcripts, self._limits, go_on, following)

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
        return await self._ends.at_once(self._begun(request, started))

    async def run(self) -> None:
        """Look at all runners again and again, until cancelled. Whoever is away holds up nobody else."""
        await asyncio.gather(
            self._again(lambda: self._sightings.look(list(self._watched.values())), "tell Postgres", LOOK_SECONDS),
            self._again(lambda: self._screens.look(list(self._watched.values())), "look at screens", LOOK_SECONDS),
            self._again(lambda: self._transcripts.look(list(self._watched.values())), "keep transcripts", READ_SECONDS),
            self._again(lambda: self._terminals.look(list(self._watched.values())), "tell the terminals"),
            self._again(lambda: self._limits.look(list(self._watched.values())), "tell limits", LIMITS_SECONDS),
            self._again(lambda: self._heartbeats.look(list(self._watched.values())), "tell Temporal"),
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

    async def _see_to_end(self, watched: Watched) -> None:
        await self._ends.see_to(watched)
        del self._watched[watched.runner_id]

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
            delay = min(delay * 2, LONGEST_ORPHAN_SECONDS)
