"""Session workflows in a world: started as the control starts them, and spoken to as people do."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

from stratavore.models.session import (
    GrantSignal,
    Hold,
    HoldSignal,
    LaunchSpec,
    MoveSignal,
    Operator,
    PauseSignal,
    Policy,
    RestartSignal,
    ResumeSignal,
    SendSignal,
    SessionInput,
    TerminateSignal,
)
from stratavore.models.states import ExitKind, SessionState
from stratavore.naming import TASK_QUEUE, host_queue, launch_queue, workflow_id
from stratavore.search_attributes import AGENT, HOST, PROJECT, STATE
from tests.support.waiting import PATIENCE_SECONDS, answer, until
from tests.support.world import World
from workflows.session import SessionWorkflow


class Session:
    """One session, and what can happen to it."""

    def __init__(self, world: World, session_id: str) -> None:
        self.id = session_id
        self.handle: WorkflowHandle[Any, str] = world.client.get_workflow_handle(
            workflow_id(session_id), result_type=str
        )
        self._world = world

    async def pause(self, request_id: str | None = None) -> None:
        await self.handle.signal(SessionWorkflow.pause, PauseSignal(request_id=_request(request_id)))

    async def resume(self, request_id: str | None = None, *, god: Operator | None = None) -> None:
        await self.handle.signal(SessionWorkflow.resume, ResumeSignal(request_id=_request(request_id), god=god))

    async def terminate(
        self, request_id: str | None = None, *, force: bool = False, god: Operator | None = None
    ) -> None:
        signal = TerminateSignal(request_id=_request(request_id), force=force, god=god)
        await self.handle.signal(SessionWorkflow.terminate, signal)

    async def hold(self, hold: Hold, generation: int = 1, request_id: str | None = None) -> None:
        signal = HoldSignal(request_id=_request(request_id), generation=generation, hold=hold)
        await self.handle.signal(SessionWorkflow.hold, signal)

    async def wake(self) -> None:
        await self.handle.signal(SessionWorkflow.grant, GrantSignal())

    async def restart(self, generation: int = 1, request_id: str | None = None) -> None:
        await self.handle.signal(
            SessionWorkflow.restart, RestartSignal(request_id=_request(request_id), generation=generation)
        )

    async def move(self, host: str, generation: int = 1, request_id: str | None = None) -> None:
        message = MoveSignal(request_id=_request(request_id), generation=generation, host=host)
        await self.handle.signal(SessionWorkflow.move, message)

    async def send(self, text: str, request_id: str | None = None, *, answer: bool = False) -> None:
        signal = SendSignal(request_id=_request(request_id), text=text, answer=answer)
        await self.handle.signal(SessionWorkflow.send, signal)

    def runner(self, generation: int) -> str:
        return f"{self.id}.{generation}"

    async def runs(self, generation: int = 1) -> None:
        """Wait until the runner lives and the workflow knows it."""
        await until(lambda: self.runner(generation) in self._world.running, what=f"runner {generation}")
        await self.shows(SessionState.RUNNING)

    async def ends(self, kind: ExitKind, generation: int = 1, code: int | None = None) -> None:
        """Let the runner end."""
        await self._world.end(self.runner(generation), kind, code=code)

    async def shows(self, state: SessionState, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until the workflow shows the state to searches."""
        deadline = monotonic() + timeout
        while True:
            shown = (await self.handle.describe()).typed_search_attributes.get(STATE)
            if shown == state:
                return
            if monotonic() > deadline:
                raise AssertionError(f"the session is {shown}, not {state}; {self._world.log}")
            await asyncio.sleep(0.02)

    async def says(self, text: str, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until the Web UI shows the text."""
        deadline = monotonic() + timeout
        while text not in (details := await self.details()):
            if monotonic() > deadline:
                raise AssertionError(f"{text!r} is not in {details!r}; {self._world.log}")
            await asyncio.sleep(0.02)

    async def heard_an_answer(self) -> None:
        """Wait until the workflow has acted on the first answer of a host."""

        async def acted() -> bool:
            types = [event.event_type async for event in self.handle.fetch_history_events()]
            answered = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            return answered in types and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in types[types.index(answered) :]

        await answer(acted, what="the answer of a host")

    async def run_id(self) -> str | None:
        """The present run of its workflow."""
        return (await self.handle.describe()).run_id

    async def continues(self, run_id: str | None, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until another run than this one is the present one."""
        deadline = monotonic() + timeout
        while await self.run_id() == run_id:
            if monotonic() > deadline:
                raise AssertionError(f"it is still the same run; {self._world.log}")
            await asyncio.sleep(0.02)

    async def result(self) -> str:
        """Why it ended. Time skips meanwhile where it can."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return str(await self.handle.result())

    async def details(self) -> str:
        """What the Web UI shows."""
        metadata: WorkflowMetadata = await self.handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return str(metadata.current_details)


class Sessions:
    """Starts session workflows in a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def start(
        self,
        session_id: str | None = None,
        *,
        policy: Policy | None = None,
        adopts: bool = False,
        resumes: bool = False,
        signal: str | None = None,
        message: Any = None,
        prompt: str | None = None,
        god: Operator | None = None,
        no_queue: bool = False,
        task_timeout: timedelta | None = None,
    ) -> Session:
        session_id = session_id or str(uuid.uuid4())
        spec = LaunchSpec(agent="command", argv=("true",), cwd="/", prompt=prompt)
        await self.world.client.start_workflow(
            SessionWorkflow.run,
            SessionInput(
                session_id=session_id,
                project_id=str(uuid.uuid5(uuid.UUID(session_id), "project")),
                project="site",
                spec=spec,
                adopts=adopts,
                resumes=resumes,
                no_queue=no_queue,
                god=god,
                policy=policy or Policy(),
            ),
            id=workflow_id(session_id),
            task_queue=TASK_QUEUE,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(PROJECT, "site"),
                    SearchAttributePair(STATE, str(SessionState.QUEUED)),
                    SearchAttributePair(AGENT, spec.agent),
                    SearchAttributePair(HOST, "asked-from"),
                ]
            ),
            static_summary="site: true",
            task_timeout=task_timeout,
            start_signal=signal,
            start_signal_args=[message] if message else [],
        )
        return Session(self.world, session_id)


@asynccontextmanager
async def session_worker(world: World, *, remembers: bool = True) -> AsyncIterator[Worker]:
    """Runs session workflows while the block runs.

    One that does not remember replays the history for each task, and no task waits for it when it is gone.
    """
    async with Worker(
        world.client,
        task_queue=TASK_QUEUE,
        workflows=[SessionWorkflow],
        activities=[world.admit, world.place, world.find, world.record, world.refuse],
        max_cached_workflows=1000 if remembers else 0,
    ) as worker:
        yield worker


@asynccontextmanager
async def host_worker(world: World, host: str | None = None) -> AsyncIterator[None]:
    """Is the world's host, or another one, while the block runs."""
    host = host or world.host
    launches = Worker(world.client, task_queue=launch_queue(host), activities=[world.launch])
    others = Worker(
        world.client,
        task_queue=host_queue(host),
        activities=[world.supervise, world.stop, world.send, world.receive],
        max_heartbeat_throttle_interval=timedelta(seconds=1),  # else so late that a short stall is a death
    )
    async with launches, others:
        yield


def _request(request_id: str | None) -> str:
    return request_id or str(uuid.uuid4())
