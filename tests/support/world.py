"""A world for session workflows: activities under the real names, with a memory instead of Postgres and processes."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from stratavore.models.session import Hold, LiveRunner
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
    Received,
    ReceiveRequest,
    Recorded,
    RecordRequest,
    RefuseRequest,
    RunnerExit,
    SendRequest,
    Sent,
    StopRequest,
    SuperviseRequest,
)
from stratavore.naming import session_of, workflow_id
from tests.support.waiting import PATIENCE_SECONDS


@dataclass
class World:
    """What the activities did, and how they answer."""

    client: Client
    host: str
    slots: int = 1000
    """Free slots; a release grants the first in line."""
    hosts_up: bool = True
    stubborn: bool = False
    """Runners end only by force, or when the test ends them."""
    mute: bool = False
    """Nobody is told of a grant."""
    ends_before_running: deque[ExitKind] = field(default_factory=deque)
    """How the next launches end at once."""
    unheard: deque[str] = field(default_factory=deque)
    """What the next launches find that the runner before was told, and died with."""
    refusals: deque[str] = field(default_factory=deque)
    """Why the next launches fail for good."""
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """Activities by name that do their work and answer only when the event is set."""
    unwelcome: str | None = None
    """Why no host can have a session that is to move."""
    destinations: list[str | None] = field(default_factory=list)
    """Where each placement was to be."""
    holds: dict[str, Hold] = field(default_factory=dict)
    """What holds sessions, by their ids."""
    ends_with: Hold | None = None
    """The limit that runners end at."""
    frozen_launches: int = 0
    """Launches that freeze, are called off, and come through after all, just before the next step is recorded."""
    deaths: int = 0
    """How often ``record`` commits and its workflow task is lost, as if the worker had died."""
    log: list[str] = field(default_factory=list)
    records: list[RecordRequest] = field(default_factory=list)
    """Each step once."""
    launches: list[LaunchRequest] = field(default_factory=list)
    """Each runner once."""
    typed: list[str] = field(default_factory=list)
    unready: int = 0
    """So often an agent cannot be typed to."""
    gone: set[str] = field(default_factory=set)
    """Runners that have ended, as far as typing is concerned."""
    refused: list[RefuseRequest] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)
    line: list[str] = field(default_factory=list)
    generations: dict[str, int] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    recorded: dict[str, Recorded] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    doubled: list[str] = field(default_factory=list)
    """Runners that were started beside a live one of their session."""
    _thaws: str | None = None

    @activity.defn
    async def admit(self, request: AdmitRequest) -> Admission:
        self.log.append("admit")
        hold = None if request.god else self.holds.get(request.session_id)
        if hold:
            self._leave(request.session_id)
            return Admission(granted=False, hold=hold)
        answer = self._admit(request.session_id, past=request.god is not None)
        if request.no_queue and not answer.granted:
            self.line.remove(request.session_id)
            answer = answer.model_copy(update={"position": 0, "refused": "all are taken"})
        await self._gate("admit")
        return answer

    @activity.defn
    async def place(self, request: PlaceRequest) -> Placed:
        self.log.append("place")
        self.destinations.append(request.destination)
        if not self.hosts_up:
            return Placed(holds_slot=True)
        if request.session_id not in self.holders:
            return Placed(holds_slot=False)
        if request.step not in self.placements:
            generation = self.generations.get(request.session_id, 0) + 1
            self.generations[request.session_id] = generation
            self.placements[request.step] = Placement(
                runner_id=f"{request.session_id}.{generation}",
                generation=generation,
                host=request.destination or self.host,
            )
        await self._gate("place")
        return Placed(holds_slot=True, placement=self.placements[request.step])

    @activity.defn
    async def find(self, request: FindRequest) -> Found:
        self.log.append("find")
        return Found(live=self._live(request.session_id))

    @activity.defn
    async def launch(self, request: LaunchRequest) -> Launched:
        self.log.append("launch")
        if self.frozen_launches:
            self.frozen_launches -= 1
            self._thaws = request.runner_id
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        if self.refusals:
            raise ApplicationError(self.refusals.popleft(), non_retryable=True)
        if request not in self.launches:
            self.launches.append(request)
            if self.ends_before_running:
                return Launched(end=ending(request.runner_id, self.ends_before_running.popleft()))
            if any(session_of(other) == request.session_id for other in self.running):
                self.doubled.append(request.runner_id)
            self.running.add(request.runner_id)
        await self._gate("launch")
        return Launched(unheard=self.unheard.popleft() if self.unheard else None)

    @activity.defn
    async def supervise(self, request: SuperviseRequest) -> RunnerExit:
        self.log.append("supervise")
        activity.raise_complete_async()

    @activity.defn
    async def stop(self, request: StopRequest) -> None:
        self.log.append("stop by force" if request.force else "stop")
        if request.force or not self.stubborn:
            await self.end(request.runner_id, ExitKind.CRASHED)

    @activity.defn
    async def receive(self, request: ReceiveRequest) -> Received:
        self.log.append("receive")
        await self._gate("receive")
        return Received(refusal=self.unwelcome)

    @activity.defn
    async def send(self, request: SendRequest) -> Sent:
        await self._gate("send")
        if self.unready:
            self.unready -= 1
            return Sent(typed=False, refused=not request.patient, reason="it is not ready")
        if request.runner_id in self.gone:
            return Sent(typed=False, gone=True, reason="its program has ended")
        self.typed.append(request.text)
        return Sent(typed=True)

    @activity.defn
    async def record(self, request: RecordRequest) -> Recorded:
        if self._thaws and request.exit is None:
            self.running.add(self._thaws)
            self._thaws = None
        if request.exit is None and (live := self._live(request.session_id)):
            return Recorded(state=SessionState.RUNNING, released=False, live=live)
        repeated = request.step in self.recorded
        if not repeated:
            self.log.append(f"record {request.state}")
            self.records.append(request)
            grants = self._leave(request.session_id) if request.release else ()
            self.recorded[request.step] = Recorded(
                state=request.state, released=request.release, grants=() if self.mute else grants
            )
        await self._gate("record")
        if self.deaths:
            self.deaths -= 1
            return cast(Recorded, "what no workflow can read")
        return self.recorded[request.step].model_copy(update={"repeated": repeated})

    @activity.defn
    async def refuse(self, request: RefuseRequest) -> None:
        self.refused.append(request)

    async def end(
        self, runner_id: str, kind: ExitKind, lived: timedelta = timedelta(seconds=1), code: int | None = None
    ) -> None:
        """Let a runner end, as the host's monitor would tell it."""
        if runner_id not in self.running:
            return None
        self.running.discard(runner_id)
        handle = self.client.get_async_activity_handle(
            workflow_id=workflow_id(session_of(runner_id)), run_id=None, activity_id=runner_id
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    end = ending(runner_id, kind, lived).model_copy(update={"hold": self.ends_with, "code": code})
                    return await handle.complete(end)
                except RPCError as error:  # the supervision is about to be scheduled
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
                await asyncio.sleep(0.01)

    def _live(self, session_id: str) -> LiveRunner | None:
        for runner_id in self.running:
            if session_of(runner_id) == session_id:
                generation = int(runner_id.rpartition(".")[2])
                return LiveRunner(runner_id=runner_id, generation=generation, host=self.host)
        return None

    def hold(self, name: str) -> asyncio.Event:
        """From now on the activity does its work, and answers only once the event is set."""
        self.gates[name] = asyncio.Event()
        return self.gates[name]

    @property
    def states(self) -> list[SessionState]:
        """States in the order they were recorded."""
        return [one.state for one in self.records]

    def live(self, session_id: str) -> list[str]:
        """Live runners of a session."""
        return [one for one in self.running if session_of(one) == session_id]

    async def _gate(self, name: str) -> None:
        if gate := self.gates.get(name):
            self.log.append(f"{name} is held")
            while not gate.is_set():
                if name == "send":  # it lives: the server is to make no second try of it
                    activity.heartbeat()
                await asyncio.sleep(0.05)

    def _admit(self, session: str, *, past: bool) -> Admission:
        if past or session in self.holders or len(self.holders) < self.slots:
            if session in self.line:
                self.line.remove(session)
            self.holders.add(session)
            return Admission(granted=True)
        if session not in self.line:
            self.line.append(session)
        return Admission(granted=False, position=self.line.index(session) + 1)

    def _leave(self, session: str) -> tuple[str, ...]:
        """Give a slot or a place in the line back. Returns who got a slot by it."""
        self.holders.discard(session)
        if session in self.line:
            self.line.remove(session)
        if not self.line or len(self.holders) >= self.slots:
            return ()
        granted = self.line.pop(0)
        self.holders.add(granted)
        return (granted,)


def ending(runner_id: str, kind: ExitKind, lived: timedelta = timedelta(seconds=1)) -> RunnerExit:
    """The end of a runner."""
    return RunnerExit(runner_id=runner_id, kind=kind, at=datetime.now(UTC), lived=lived, reason=f"it {kind}")
