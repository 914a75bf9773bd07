"""Starting, watching, typing into and ending runners: activities on the queue of the host that holds them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeats import heartbeats
from activities.starts import Starts
from activities.typing import Attention, Typist
from stratavore import fencing, telemetry
from stratavore.agents.adapter import UNHEARD, Plan, Start
from stratavore.agents.registry import adapter_for
from stratavore.directories import check_directory
from stratavore.environment import environment_of
from stratavore.errors import ClosedDirectory, MissingDirectory, NoLease, StaleGeneration, StratavoreError
from stratavore.events.envelope import NewEvent
from stratavore.killpoints import effect
from stratavore.models.states import ExitKind, Failover
from stratavore.models.steps import (
    Launched,
    LaunchRequest,
    Received,
    ReceiveRequest,
    RunnerExit,
    SendRequest,
    Sent,
    StopRequest,
    SuperviseRequest,
)
from stratavore.mounts import ask, look
from stratavore.paths import Home
from stratavore.restore import restore
from stratavore.runtime.guard import guard_files
from stratavore.runtime.host import RunnerHost, Started
from stratavore.runtime.rundir import RunDirectory, RunSpec
from stratavore.runtime.tmux import Tmux
from stratavore.store import accounts, runners, sessions
from stratavore.store.connection import Connection
from stratavore.store.database import Database
from stratavore.store.runners import Followed

RECEIVE_SECONDS = 2.0
"""What the directory of a session that is to go on here may take for an answer; one try has a second more."""


class Monitor(Attention, Protocol):
    """The host's monitor, as the activities use it."""

    daemon_id: UUID

    def watch(self, request: LaunchRequest, started: Started, followed: Followed) -> None:
        """Watch the processes of a runner from now on, of which this is known."""

    async def serves_host(self, connection: Connection) -> bool:
        """Whether its daemon is the one that has the host's name."""

    async def supervise(self, request: SuperviseRequest) -> RunnerExit | None:
        """Tell the workflow when the runner ends; or how it ended, if it has."""

    async def judge(self, request: LaunchRequest, started: Started) -> RunnerExit:
        """How a runner ended that ended before it could be watched."""


class RunnerActivities:
    """The work of one host. Every activity can be tried again at any time: its key is the runner or the request."""

    def __init__(
        self, home: Home, database: Database, host: RunnerHost, tmux: Tmux, monitor: Monitor, starts: Starts
    ) -> None:
        self._home = home
        self._database = database
        self._host = host
        self._typist = Typist(home, database, tmux, monitor)
        self._monitor = monitor
        self._starts = starts

    @activity.defn
    async def launch(self, request: LaunchRequest) -> Launched:
        """Start the agent, or adopt it if it is found alive, and show it as running."""
        async with heartbeats(), self._turn(request):
            try:
                await self._check_current(request)
                async with self._explained(request):
                    if held := await self._held(request):
                        return Launched(end=held)
                    started = await self._start(request)
                if started.identity is None or started.exit is not None:
                    return Launched(end=await self._monitor.judge(request, started))
                unheard = await self._unheard(request)
                followed = Followed(agent={UNHEARD: unheard} if unheard else {})
                await self._show_running(request, started, followed)
            except StaleGeneration as stale:
                # For good: what it may have started, in an earlier try too, is one of the past.
                if self._home.run_directory(request.runner_id).exists():
                    await self._host.stop(request.runner_id, request.project_id, grace=0, force=True)
                raise ApplicationError(str(stale), non_retryable=True) from stale
            self._monitor.watch(request, started, followed)
        return Launched(unheard=unheard)

    @activity.defn
    async def supervise(self, request: SuperviseRequest) -> RunnerExit:
        """Hand over to the monitor, which completes this activity when the runner ends."""
        end = await self._monitor.supervise(request)
        if end is None:
            activity.raise_complete_async()
        return end

    @activity.defn
    async def stop(self, request: StopRequest) -> None:
        """End all processes of a runner. Of one that has ended, nothing is left to do."""
        async with heartbeats():
            await self._check_ours(request.runner_id)
            await self._host.stop(
                request.runner_id,
                request.project_id,
                grace=request.grace.total_seconds(),
                force=request.force,
            )

    @activity.defn
    async def send(self, request: SendRequest) -> Sent:
        """Type text, at most once."""
        async with heartbeats():
            await self._check_ours(request.runner_id)
            return await self._typist.send(request)

    def _turn(self, request: LaunchRequest) -> AbstractAsyncContextManager[None]:
        """Its turn to start; what is light, or lives already, needs none."""
        if not adapter_for(request.spec.agent).heavy or RunDirectory(self._home, request.runner_id).started:
            return nullcontext()
        return self._starts.turn(request.runner_id)

    @activity.defn
    async def receive(self, request: ReceiveRequest) -> Received:
        """Whether a session that runs elsewhere could go on here: its directory and its program are there."""
        with effect("receive"):
            return await self._receive(request)

    async def _receive(self, request: ReceiveRequest) -> Received:
        spec = request.spec

        def check() -> None:
            check_directory(spec.cwd)
            adapter_for(spec.agent).check(spec, environment_of(self._home, request.session_id))

        try:
            await look(spec.cwd, check, seconds=RECEIVE_SECONDS)
        except MissingDirectory:
            return Received(refusal=f"the host {request.host} has no directory {spec.cwd}")
        except StratavoreError as error:
            return Received(refusal=f"the host {request.host} cannot start it: {error}")
        return Received()

    async def _start(self, request: LaunchRequest) -> Started:
        guarded = await self._guarded(request)
        adapter = adapter_for(request.spec.agent)
        start = Start(
            session_id=request.session_id,
            agent_session_id=request.session_id,
            resume=request.resume,
            directory=self._home.run_directory(request.runner_id),
            environment=environment_of(self._home, request.session_id),
        )
        begun = await asyncio.to_thread(lambda: RunDirectory(self._home, request.runner_id).started)
        if adapter.transcripts and not begun:  # one that is adopted writes its conversation itself
            start = await self._with_conversation(start, request)
        plan = await look(request.spec.cwd, lambda: _plan(request, start, begun=begun))
        spec = RunSpec(
            runner_id=request.runner_id,
            session_id=request.session_id,
            project_id=request.project_id,
            project=request.project,
            agent=request.spec.agent,
            generation=request.generation,
            argv=plan.argv,
            cwd=request.spec.cwd,
            stdin=plan.stdin,
        )
        return await self._host.launch(spec, {**start.environment, **plan.environment}, {**plan.files, **guarded})

    async def _guarded(self, request: LaunchRequest) -> dict[str, bytes]:
        """What ends the runner with this host's lease, for a session that goes on elsewhere then.

        The lease is read before Postgres is asked whether the runner is still the session's: if another one takes its
        place from then on, this lease has run out before, and the runner does not begin.
        """
        if request.spec.failover is not Failover.AUTO:
            return {}
        lease = await asyncio.to_thread(fencing.held, self._home)
        if lease is None:
            raise NoLease
        async with self._database.pool.acquire() as connection:
            with effect("launch.guard"):
                guarded = await runners.guard(connection, request.runner_id, lease.term)
        if not guarded:
            raise StaleGeneration(runner_id=request.runner_id)
        return guard_files(lease)

    async def _check_current(self, request: LaunchRequest) -> None:
        """Start nothing for a session that has gone on without this try, which its daemon slept through.

        Raises:
            StaleGeneration: another generation is the current one, or this one has ended.
            StratavoreError: this daemon slept through the end of its lease, and another one has its host's name.
        """
        async with self._database.pool.acquire() as connection:
            if not await runners.is_current(connection, request.runner_id):
                raise StaleGeneration(runner_id=request.runner_id)
            await self._check_name(connection)

    async def _check_ours(self, runner_id: str) -> None:
        """Say nothing of a runner that was never here, if another daemon may have it: Temporal asks that one next.

        Of one that was here, Postgres is not asked: it can be ended while that is away.

        Raises:
            StratavoreError: this daemon slept through the end of its lease, and another one has its host's name.
        """
        if await asyncio.to_thread(self._home.run_directory(runner_id).exists):
            return
        async with self._database.pool.acquire() as connection:
            await self._check_name(connection)

    async def _check_name(self, connection: Connection) -> None:
        if not await self._monitor.serves_host(connection):
            raise StratavoreError(reason="this daemon does not have the name of its host now")

    async def _held(self, request: LaunchRequest) -> RunnerExit | None:
        """The end of a runner that does not even begin, since the account that it would spend is limited.

        Whose plan it spends is known here, where its environment is. One that has begun is adopted all the same.
        """
        environment = environment_of(self._home, request.session_id)
        account = await look(environment.get("HOME", "/"), lambda: adapter_for(request.spec.agent).account(environment))
        if account is None:
            return None
        async with self._database.transaction("launch.account") as transaction:
            await accounts.of_session(transaction.connection, request.session_id, account)
            hold = await accounts.holding(transaction.connection, request.session_id)
        if hold is None or await asyncio.to_thread(lambda: RunDirectory(self._home, request.runner_id).started):
            return None
        return RunnerExit(
            runner_id=request.runner_id,
            kind=ExitKind.REFUSED,
            at=datetime.now(UTC),
            lived=timedelta(0),
            reason=hold.reason,
            hold=hold,
        )

    @asynccontextmanager
    async def _explained(self, request: LaunchRequest) -> AsyncIterator[None]:
        """Show why it does not start; then it is tried again all the same."""
        try:
            yield
        except StaleGeneration:
            raise
        except (StratavoreError, OSError) as error:
            async with self._database.pool.acquire() as connection:
                await sessions.explain(connection, request.session_id, request.generation, str(error))
            raise

    async def _with_conversation(self, start: Start, request: LaunchRequest) -> Start:
        """With its file, where there ever was one: to an agent, a conversation without a file was not begun yet."""
        adapter = adapter_for(request.spec.agent)
        async with self._database.pool.acquire() as connection:
            known = await sessions.agent_session_id(connection, request.session_id)
            start = replace(start, agent_session_id=known)
            path = adapter.transcript_path(start, request.spec.cwd)
            if path is None:
                return start
            elsewhere = await runners.came_from_elsewhere(connection, request.runner_id)
            found = await restore(
                connection, adapter, start.session_id, start.agent_session_id, path, elsewhere=elsewhere
            )
        if found is None:
            return replace(start, resume=False)
        if await ask(found, lambda: adapter.begun(found)):
            return replace(start, resume=True)
        # It died over its first words: there is nothing to resume, and the id is taken for ever.
        fresh = str(uuid5(UUID(start.session_id), request.runner_id))
        return replace(start, resume=False, agent_session_id=fresh)

    async def _unheard(self, request: LaunchRequest) -> str | None:
        """What the runner before this one was told, and died with."""
        if not request.resume or request.spec.headless or not adapter_for(request.spec.agent).hooks:
            return None
        async with self._database.pool.acquire() as connection:
            followed = await runners.remembered(connection, request.session_id, request.generation)
        unheard: str | None = followed.agent.get(UNHEARD)
        return unheard

    async def _show_running(self, request: LaunchRequest, started: Started, followed: Followed) -> None:
        assert started.identity is not None
        async with self._database.transaction("launch.run") as transaction:
            connection = transaction.connection
            current = await sessions.run(connection, request.session_id, request.generation)
            identity, wrapper, daemon_id = started.identity, started.wrapper, self._monitor.daemon_id
            if not current or not await runners.run(
                connection, request.runner_id, identity, wrapper, daemon_id, followed
            ):
                raise StaleGeneration(runner_id=request.runner_id)
            recovered = await runners.recovered(connection, request.runner_id) if request.resume else None
            data = {
                "runner_id": request.runner_id,
                "generation": request.generation,
                "pid": started.identity.pid,
            }
            types = ["runner.started", "session.resumed"] if request.resume else ["runner.started"]
            for type_ in types:
                transaction.emit(
                    NewEvent(
                        session_id=request.session_id,
                        key=f"{request.runner_id}/{type_}",
                        type=type_,
                        project=request.project,
                        data=data,
                    )
                )
        if recovered:
            cause, seconds = recovered
            telemetry.RECOVERY.labels(cause).observe(seconds)


def _plan(request: LaunchRequest, start: Start, *, begun: bool) -> Plan:
    """How it is started. Not for the event loop.

    Raises:
        SilentDirectory: nobody knows now what is in its directory: it is waited for, and no failure of the agent's.
    """
    if not begun:
        with suppress(MissingDirectory, ClosedDirectory):  # the agent's end says so
            check_directory(request.spec.cwd)
    return adapter_for(request.spec.agent).plan(request.spec, start)
