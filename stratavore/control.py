"""The use cases: what a person can ask for.

The daemon answers the command line with it; without a daemon the command line runs it itself, straight on Postgres and
Temporal. Commands are checked against the read model first; their effect is then read from it (:meth:`Control.wait`).
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from temporalio.client import Client, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from stratavore import connect, naming, targets
from stratavore.agents.registry import adapter_for
from stratavore.config import read_settings
from stratavore.embedded.secrets import Secrets
from stratavore.embedded.stack import EmbeddedStack
from stratavore.environment import read_environment
from stratavore.errors import (
    AlreadySo,
    DaemonAway,
    InvalidInput,
    LostDirectory,
    MissingDirectory,
    NoLiveSession,
    NotTyped,
    ProjectExists,
    TookTooLong,
    WrongState,
)
from stratavore.killpoints import effect
from stratavore.launch_options import LaunchOptions, check_prompt, combine
from stratavore.models.session import (
    GrantSignal,
    LaunchSpec,
    PauseSignal,
    ResumeSignal,
    SendSignal,
    SessionInput,
    TerminateSignal,
)
from stratavore.models.states import ACTIVE_STATES, SessionState
from stratavore.models.views import (
    ContentView,
    EventView,
    FoundView,
    ModelUsageView,
    ProjectView,
    QuotaView,
    ReplyView,
    RunnerView,
    SessionView,
    StatusView,
    Terminal,
    TranscriptView,
)
from stratavore.paths import Home
from stratavore.project_names import check_project_name
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import Tmux
from stratavore.search_attributes import AGENT, HOST, PROJECT, STATE
from stratavore.store import (
    admission,
    events,
    limits,
    messages,
    projects,
    replies,
    requests,
    runners,
    sessions,
    transcripts,
    usage,
)
from stratavore.store.database import Database

Action = Literal["pause", "resume", "terminate"]

RESTING = frozenset({SessionState.PAUSED, SessionState.PARKED})
SEND_SECONDS = 60.0
TASK_TIMEOUT = timedelta(seconds=5)
"""Of the workflow's first run; ``workflows/timeouts.py`` has the same for the next ones."""


class Control:
    """What people can do with projects and sessions."""

    def __init__(self, home: Home, host: str, database: Database, client: Client) -> None:
        self._home = home
        self._host = host
        self._database = database
        self._client = client
        self._tmux = Tmux(home)

    # Projects

    async def create_project(
        self,
        name: str,
        path: str,
        agent: str = "command",
        argv: Sequence[str] = (),
        model: str | None = None,
        permission_mode: str | None = None,
        directories: Sequence[str] = (),
        mcp_config: Sequence[str] = (),
    ) -> ProjectView:
        """Create a project for a directory that exists, with what its sessions are launched with."""
        options = LaunchOptions(agent, tuple(argv), model, permission_mode, tuple(directories), tuple(mcp_config))
        check_project_name(name)
        adapter_for(agent)
        if not await asyncio.to_thread(Path(path).is_dir):
            raise MissingDirectory(path=path)
        async with self._database.transaction("project.create") as transaction:
            made = await projects.create(transaction.connection, name, path, agent, options)
            if made is None:
                known = await targets.project(transaction.connection, name)
                raise ProjectExists(name=name, path=known.path)
        return made

    async def list_projects(self) -> list[ProjectView]:
        """All projects, by name."""
        async with self._database.pool.acquire() as connection:
            return await projects.views(connection)

    # Sessions

    async def launch(
        self,
        project: str,
        session_ids: Sequence[str],
        argv: Sequence[str] | None = None,
        prompt: str | None = None,
        options: Mapping[str, Any] | None = None,
        headless: bool = False,
    ) -> list[str]:
        """Start a new session for each id. Repeating it with the same ids is harmless.

        Args:
            project: in which project.
            session_ids: new UUIDs.
            argv: the same as ``options["argv"]``.
            prompt: what the agent is told first; without a terminal the only thing.
            options: of :class:`LaunchOptions`, as JSON values; the project says what they leave open.
            headless: without a terminal.
        """
        check_prompt(prompt)
        async with self._database.pool.acquire() as connection:
            found = await targets.project(connection, project)
        spec = _spec(found, LaunchOptions.of({**(options or {}), **({"argv": list(argv)} if argv else {})}))
        spec = spec.model_copy(update={"prompt": prompt, "headless": headless})
        environment = await asyncio.to_thread(read_environment, self._home.session_environment(session_ids[0]))
        adapter_for(spec.agent).check(spec, environment)
        if not await asyncio.to_thread(Path(spec.cwd).is_dir):
            raise LostDirectory(path=spec.cwd)
        await asyncio.gather(*(self._start(self._input(found.project_id, project, one, spec)) for one in session_ids))
        return list(session_ids)

    async def open_project(
        self, project: str, session_id: str, options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What ``stratavore P`` does: attach to the live session, else resume the last, else launch ``session_id``.

        Returns the session, what is done, and its generation before that: who waits for a resumed session can
        tell its old end from a new one.
        """
        async with self._database.pool.acquire() as connection:
            await targets.project(connection, project)
            known = await sessions.views(connection, project=project, ended=True)
        known = [one for one in known if not one.headless]  # there is nothing of those to be shown
        for action, states in (
            ("attach", ACTIVE_STATES | {SessionState.QUEUED, SessionState.LIMITED, SessionState.ASKING}),
            ("resume", RESTING),
            ("resume", {SessionState.ENDED}),
        ):
            if there := [one for one in known if one.state in states]:
                if action == "resume":
                    await self._resume(there[-1], session_id)
                return {
                    "session_id": there[-1].session_id,
                    "action": action,
                    "generation": there[-1].generation,
                }
        await self.launch(project, [session_id], options=options)
        return {"session_id": session_id, "action": "launch", "generation": 0}

    async def command(self, target: str, action: Action, request_id: str, force: bool = False) -> list[str]:
        """Ask sessions to pause, resume or end. Returns those that were asked; :meth:`wait` tells the effect."""
        async with self._database.pool.acquire() as connection:
            if target == "all":
                found = await sessions.views(connection)
            else:
                found = await targets.all_of(connection, target)
        concerned = [one for one in found if _takes(one, action)]
        if not concerned and target != "all":
            raise _wrong_state(target, found, action)
        await asyncio.gather(*(self._command(one, action, request_id, force=force) for one in concerned))
        return [one.session_id for one in concerned]

    async def wait(self, session_id: str, states: Sequence[str], timeout_s: float) -> SessionView | None:
        """The session once its state is one of ``states``, or as it is at the timeout; None: it has no row yet."""
        wanted, deadline, pause = set(states), monotonic() + timeout_s, 0.01
        while True:
            async with self._database.pool.acquire() as connection:
                state = await sessions.state_of(connection, session_id)
                if state in wanted or monotonic() >= deadline:
                    found = await sessions.views(connection, ids=[session_id], ended=True)
                    return found[0] if found else None
            await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
            pause = min(pause * 1.5, 0.1)

    async def send(
        self,
        target: str,
        text: str,
        request_id: str,
        enter: bool = True,
        wait: bool = True,
        answer: bool = False,
        wants_reply: bool = False,
    ) -> dict[str, str]:
        """Type text into the agent of a session, and ``wait`` until it is typed or refused.

        Args:
            target: which session.
            text: what to type; with ``answer`` the answer to the question that the agent asks.
            request_id: a new UUID; repeated, the text is typed once all the same.
            enter: press Enter after it.
            wait: until it is typed. Without a daemon there is nobody to wait for.
            answer: it answers a question: by number, label or, where any text is taken, in words.
            wants_reply: refuse it if the agent is of a kind whose replies cannot be told.
        """
        check_prompt(text)
        async with self._database.pool.acquire() as connection:
            session = await targets.one(connection, target, live=True)
        if session.headless:
            raise InvalidInput(
                reason=f"The session {naming.short(session.session_id)} has no terminal: its agent answers what it was "
                "asked and ends, and cannot be sent text"
            )
        if not adapter_for(session.agent).hooks and (answer or wants_reply):
            raise InvalidInput(
                reason=f"The agent '{session.agent}' does not tell what it asks or replies; look with: "
                f"stratavore attach {naming.short(session.session_id)}"
            )
        if adapter_for(session.agent).hooks and not text.strip():
            raise InvalidInput(reason="There is no text to send: it holds blanks only")
        if session.state is not SessionState.RUNNING:
            raise _wrong_state(target, [session], "sent text")
        signal = SendSignal(request_id=request_id, text=text, enter=enter, answer=answer)
        if not await self._signal(session.session_id, "send", signal):
            await self._take_up(session, "send", signal)
        if not wait:
            return {"session_id": session.session_id}
        deadline = monotonic() + SEND_SECONDS
        while monotonic() < deadline:
            async with self._database.pool.acquire() as connection:
                outcome = await requests.outcome(connection, request_id)
            if outcome and outcome.state == "refused":
                raise NotTyped(session=naming.short(session.session_id), reason=outcome.detail)
            if outcome and outcome.state == "done":
                return {"session_id": session.session_id}
            await asyncio.sleep(0.02)
        raise TookTooLong(session=naming.short(session.session_id), state=session.state, seconds=SEND_SECONDS)

    async def reply(self, session_id: str, request_id: str, timeout_s: float) -> ReplyView:
        """What the agent answered to a text that was sent, once it has; or how it stands at the timeout."""
        deadline, pause = monotonic() + timeout_s, 0.05
        while True:
            async with self._database.pool.acquire() as connection:
                found = await replies.look(connection, session_id, request_id)
            if found.state != "busy" or monotonic() >= deadline:
                return found
            await asyncio.sleep(min(pause, max(0.0, deadline - monotonic())))
            pause = min(pause * 1.5, 0.25)

    async def terminal(self, target: str) -> Terminal:
        """How to reach the terminal and the files of the runner that is named, else the session's current or last."""
        async with self._database.pool.acquire() as connection:
            session = await targets.one(connection, target, live=False)
            project = await targets.project(connection, session.project)
            earlier = await targets.earlier_runner(connection, target, session)
        runner_id = earlier.runner_id if earlier else session.runner_id
        if runner_id is None:
            raise _wrong_state(target, [session], "shown")
        files = RunDirectory(self._home, runner_id)
        commands = {
            read_only: tuple(self._tmux.attach_argv(project.project_id, runner_id, read_only=read_only))
            for read_only in (False, True)
        }
        return Terminal(
            session=session,
            runner_id=runner_id,
            project_id=project.project_id,
            host=(earlier.host if earlier else session.host) or self._host,
            live=session.state is SessionState.RUNNING and not earlier,
            attach=commands[False],
            attach_read_only=commands[True],
            log=str(files.log),
            screen=str(files.screen),
            output=str(files.output),
        )

    # Looking

    async def list_sessions(self, project: str | None = None, all: bool = False) -> list[SessionView]:
        """Sessions, oldest first; ended ones only with ``all``."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await sessions.views(connection, project=project, ended=all)

    async def list_runners(self, project: str | None = None, all: bool = False) -> list[RunnerView]:
        """Runners, oldest first; ended ones only with ``all``."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await runners.views(connection, project=project, ended=all)

    async def find_session(self, target: str) -> SessionView:
        """The session that is meant; of a project its newest live one, else its newest."""
        async with self._database.pool.acquire() as connection:
            return await targets.one(connection, target, live=False)

    async def session_runners(self, session_id: str) -> list[RunnerView]:
        """All runners of one session, oldest first."""
        async with self._database.pool.acquire() as connection:
            return await runners.views(connection, session_id=session_id, ended=True)

    async def status(self) -> StatusView:
        """Counts, and the live sessions."""
        async with self._database.pool.acquire() as connection:
            live = await sessions.views(connection)
            count = len(await projects.names(connection))
            undelivered = await events.undelivered(connection)
            health = await transcripts.health(connection)
        running = [one for one in live if one.state is SessionState.RUNNING]
        return StatusView(
            projects=count,
            sessions=_count(one.state for one in live),
            activities=_count(one.activity for one in running),
            waiting_in_line=sum(one.state is SessionState.QUEUED for one in live),
            events_undelivered=undelivered,
            live=tuple(live),
            health=tuple(health),
        )

    async def list_events(
        self, project: str | None = None, pattern: str | None = None, limit: int = 100
    ) -> list[EventView]:
        """The latest events, oldest first."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await events.views(connection, project=project, pattern=pattern, limit=limit)

    # Conversations

    async def list_transcripts(self, session_id: str) -> list[TranscriptView]:
        """The files of a session's conversations, in the order in which they are read."""
        async with self._database.pool.acquire() as connection:
            return await transcripts.views(connection, session_id)

    async def read_transcript(self, transcript_id: int, start: int = 0) -> ContentView:
        """A piece of a file, from ``start`` (0, or the ``next`` of another piece) on."""
        async with self._database.pool.acquire() as connection:
            async for piece in transcripts.content(connection, transcript_id, start):
                return ContentView(content=b64encode(piece).decode(), next=start + len(piece))
        return ContentView(content="", next=None)

    async def search(self, words: str, project: str | None = None, limit: int = 20) -> list[FoundView]:
        """Messages with these words, the best first."""
        async with self._database.pool.acquire() as connection:
            found = await targets.project(connection, project) if project is not None else None
            return await messages.search(connection, words, project_id=found.project_id if found else None, limit=limit)

    async def session_usage(self, session_id: str) -> list[ModelUsageView]:
        """What a session used, by model."""
        async with self._database.pool.acquire() as connection:
            return await usage.by_model(connection, session_id)

    # Limits

    async def show_quotas(self, project: str | None = None) -> list[QuotaView]:
        """Limits and what is used of them."""
        async with self._database.pool.acquire() as connection:
            if project is not None:
                await targets.project(connection, project)
            return await limits.views(connection, project)

    async def set_quota(self, project: str | None, name: str, value: int | None) -> list[QuotaView]:
        """Set a limit (None: take it away), and let in who has room now."""
        if name not in limits.NAMES:
            raise InvalidInput(reason=f"There is no limit '{name}'; there is: {', '.join(limits.NAMES)}")
        if value is not None and not 0 <= value <= 1_000_000:
            raise InvalidInput(reason=f"A limit is a number from 0 to 1000000, or none, not {value}")
        async with self._database.transaction("quota.set") as transaction:
            connection = transaction.connection
            found = await targets.project(connection, project) if project else None
            await limits.set_limit(connection, found.project_id if found else None, name, value)
            granted = await admission.grant(connection)
        for session_id in granted:
            await self._signal(session_id, "grant", GrantSignal())
        return await self.show_quotas(project)

    # How it reaches the workflows

    def _handle(self, session_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(naming.workflow_id(session_id))

    async def _signal(self, session_id: str, name: str, message: Any) -> bool:
        """Signal a session's workflow. Returns False if it has no open workflow."""
        try:
            with effect("control.signal"):
                await self._handle(session_id).signal(name, message)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def _command(self, session: SessionView, action: Action, request_id: str, *, force: bool) -> None:
        match action:
            case "resume":
                await self._resume(session, request_id)
            case "pause":
                if not await self._signal(session.session_id, "pause", PauseSignal(request_id=request_id)):
                    await self._take_up(session, "pause", PauseSignal(request_id=request_id))
            case "terminate":
                end = TerminateSignal(request_id=request_id, force=force)
                if not await self._signal(session.session_id, "terminate", end):
                    await self._take_up(session, "terminate", end)

    async def _resume(self, session: SessionView, request_id: str) -> None:
        message = ResumeSignal(request_id=request_id)
        if session.state is SessionState.ENDED:
            start = await self._again(session)
            # The signal is for a workflow that has recorded the end and is not closed yet.
            await self._start(start.model_copy(update={"resumes": True}), again=True, signal=("resume", message))
        elif not await self._signal(session.session_id, "resume", message):
            await self._take_up(session, "resume", message)

    async def _take_up(self, session: SessionView, signal: str, message: Any) -> None:
        """Start the session's workflow, which was terminated by hand, again, with the command, on any live runner."""
        start = await self._again(session)
        await self._start(
            start.model_copy(update={"adopts": True, "resumes": True}), again=True, signal=(signal, message)
        )

    async def _again(self, session: SessionView) -> SessionInput:
        async with self._database.pool.acquire() as connection:
            project = await targets.project(connection, session.project)
            spec = await sessions.launched_with(connection, session.session_id)
        return self._input(project.project_id, session.project, session.session_id, spec)

    def _input(self, project_id: str, project: str, session_id: str, spec: LaunchSpec) -> SessionInput:
        return SessionInput(session_id=session_id, project_id=project_id, project=project, spec=spec, host=self._host)

    async def _start(self, start: SessionInput, *, again: bool = False, signal: tuple[str, Any] | None = None) -> None:
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        # Already started and ended: the same launch, repeated.
        with suppress(WorkflowAlreadyStartedError), effect("control.start"):
            await self._client.start_workflow(
                naming.WORKFLOW,
                start,
                id=naming.workflow_id(start.session_id),
                task_queue=naming.TASK_QUEUE,
                task_timeout=TASK_TIMEOUT,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(PROJECT, start.project),
                        SearchAttributePair(STATE, str(SessionState.QUEUED)),
                        SearchAttributePair(AGENT, start.spec.agent),
                        SearchAttributePair(HOST, self._host),
                    ]
                ),
                static_summary=f"{start.project}: {' '.join(start.spec.argv) or start.spec.agent}"[:200],
                start_signal=signal[0] if signal else None,
                start_signal_args=[signal[1]] if signal else [],
            )


def _spec(project: ProjectView, said: LaunchOptions) -> LaunchSpec:
    """What is launched: what was said, and what the project says where that is silent."""
    of_project = LaunchOptions(
        project.agent, project.argv, project.model, project.permission_mode, project.directories, project.mcp_config
    )
    chosen = combine(said, of_project)
    assert chosen.agent is not None
    return LaunchSpec(
        agent=chosen.agent,
        argv=chosen.argv or (),
        cwd=project.path,
        model=chosen.model,
        permission_mode=chosen.permission_mode,
        directories=chosen.directories or (),
        mcp_config=chosen.mcp_config or (),
    )


def _takes(session: SessionView, action: Action) -> bool:
    match action:
        case "resume":
            return session.state in RESTING or session.state is SessionState.ENDED
        case "pause":
            return session.state not in RESTING and session.state is not SessionState.ENDED
        case "terminate":
            return session.state is not SessionState.ENDED


_DONE = {"pause": "paused", "resume": "resumed", "terminate": "ended"}
_WISHED = {"pause": SessionState.PAUSED, "resume": SessionState.RUNNING, "terminate": SessionState.ENDED}


def _wrong_state(target: str, found: Sequence[SessionView], action: str) -> Exception:
    if not found:
        return NoLiveSession(target=target)
    session = found[-1]
    short = naming.short(session.session_id)
    hints = {
        SessionState.PAUSED: f"Run it again with: stratavore resume {short}",
        SessionState.PARKED: f"It crashed too often; try again with: stratavore resume {short}",
        SessionState.ENDED: f"Take it up again with: stratavore resume {short}",
        SessionState.QUEUED: "It waits for a slot; see: stratavore quotas show",
        SessionState.RUNNING: f"Attach to it with: stratavore attach {short}",
    }
    kind = AlreadySo if session.state is _WISHED.get(action) else WrongState
    return kind(
        session=short,
        state=session.state,
        action=_DONE.get(action, action),
        hint=hints.get(session.state, "See: stratavore sessions"),
    )


def _count(values: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


@asynccontextmanager
async def open_control(home: Home) -> AsyncIterator[Control]:
    """A control without a daemon: on the servers that the last one wrote down.

    Raises:
        DaemonAway: no daemon ever ran for this state directory.
        ServerAway: one of them does not answer.
        InvalidInput: a setting is wrong.
    """
    settings = read_settings()
    stack = EmbeddedStack.recorded(home)
    if stack is None:
        raise DaemonAway()
    client = await connect.temporal(stack.temporal_address, settings.temporal.namespace)
    database = await connect.database(
        stack.postgres_dsn, bytes.fromhex(Secrets.of(home).event_signing_key), connections=4
    )
    try:
        yield Control(home, settings.host, database, client)
    finally:
        await database.close()
