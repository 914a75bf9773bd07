"""A world for session workflows: activities under the real names, with a memory instead of Postgres and processes."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore.models.states import ExitKind, SessionState
from stratavore.models.steps import (
    Admission,
    AdmitRequest,
    FindRequest,
    Found,
    Launched,
    LaunchRequest,
    Placed,
    Placement,
    PlaceRequest,
    Recorded,
    RecordRequest,
    RefuseRequest,
    RunnerExit,
    SendRequest,
    StopRequest,
    SuperviseRequest,
)
from stratavore.naming import session_of, workflow_id


@dataclass
class World:
    """What the activities did, and how they answer."""

    client: Client
    host: str
    slots: int = 1000
    """Free slots; a release grants the first in line."""
    ends_before_running: deque[ExitKind] = field(default_factory=deque)
    """How the next launches end at once."""
    log: list[str] = field(default_factory=list)
    records: list[RecordRequest] = field(default_factory=list)
    launches: list[LaunchRequest] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    refused: list[RefuseRequest] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)
    line: list[str] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    hosts_up: bool = True

    @activity.defn
    async def admit(self, request: AdmitRequest) -> Admission:
        self.log.append("admit")
        session = request.session_id
        if session in self.holders or len(self.holders) < self.slots:
            if session in self.line:
                self.line.remove(session)
            self.holders.add(session)
            return Admission(granted=True)
        if session not in self.line:
            self.line.append(session)
        return Admission(granted=False, position=self.line.index(session) + 1)

    @activity.defn
    async def place(self, request: PlaceRequest) -> Placed:
        self.log.append("place")
        if not self.hosts_up:
            return Placed(holds_slot=True)
        if request.step not in self.placements:
            generation = self.generations.get(request.session_id, 0) + 1
            self.generations[request.session_id] = generation
            self.placements[request.step] = Placement(
                runner_id=f"{request.session_id}.{generation}", generation=generation, host=self.host
            )
        return Placed(holds_slot=request.session_id in self.holders, placement=self.placements[request.step])

    @activity.defn
    async def find(self, request: FindRequest) -> Found:
        self.log.append("find")
        return Found()

    @activity.defn
    async def launch(self, request: LaunchRequest) -> Launched:
        self.log.append("launch")
        self.launches.append(request)
        if self.ends_before_running:
            return Launched(end=ending(request.runner_id, self.ends_before_running.popleft()))
        self.running.add(request.runner_id)
        return Launched()

    @activity.defn
    async def supervise(self, request: SuperviseRequest) -> RunnerExit:
        self.log.append("supervise")
        activity.raise_complete_async()

    @activity.defn
    async def stop(self, request: StopRequest) -> None:
        self.log.append("stop by force" if request.force else "stop")
        await self.end(request.runner_id, ExitKind.CRASHED)

    @activity.defn
    async def send(self, request: SendRequest) -> None:
        self.typed.append(request.text)

    @activity.defn
    async def record(self, request: RecordRequest) -> Recorded:
        self.log.append(f"record {request.state}")
        self.records.append(request)
        if not request.release:
            return Recorded(state=request.state, released=request.release)
        self.holders.discard(request.session_id)
        if request.session_id in self.line:
            self.line.remove(request.session_id)
        if not self.line or len(self.holders) >= self.slots:
            return Recorded(state=request.state, released=request.release)
        granted = self.line.pop(0)
        self.holders.add(granted)
        return Recorded(state=request.state, released=True, grants=(granted,))

    @activity.defn
    async def refuse(self, request: RefuseRequest) -> None:
        self.refused.append(request)

    async def end(self, runner_id: str, kind: ExitKind, lived: timedelta = timedelta(seconds=1)) -> None:
        """Let a runner end, as the host's monitor would tell it."""
        if runner_id not in self.running:
            return None
        self.running.discard(runner_id)
        handle = self.client.get_async_activity_handle(
            workflow_id=workflow_id(session_of(runner_id)), run_id=None, activity_id=runner_id
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    return await handle.complete(ending(runner_id, kind, lived))
                except RPCError as error:  # the supervision is about to be scheduled
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
                await asyncio.sleep(0.01)

    @property
    def states(self) -> list[SessionState]:
        """States in the order they were recorded."""
        return [one.state for one in self.records]


def ending(runner_id: str, kind: ExitKind, lived: timedelta = timedelta(seconds=1)) -> RunnerExit:
    """The end of a runner."""
    return RunnerExit(runner_id=runner_id, kind=kind, at=datetime.now(UTC), lived=lived, reason=f"it {kind}")
