"""Steps of sessions, asked for as their workflows do, and done by the real activities."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from activities.admission import AdmissionActivities
from activities.records import RecordActivities
from stratavore.agents.adapter import Judgement
from stratavore.agents.conversation import Reply, Tokens
from stratavore.launch_options import LaunchOptions
from stratavore.models.session import LaunchSpec, Operator
from stratavore.models.states import Activity, ExitKind, Failover, RunnerStatus, SessionState
from stratavore.models.steps import (
    Admission,
    AdmitRequest,
    Placed,
    Placement,
    PlaceRequest,
    Recorded,
    RecordRequest,
    RunnerExit,
)
from stratavore.models.views import MachineView, ProjectView
from stratavore.naming import session_of
from stratavore.store import admission, hosts, limits, projects, runners, sessions, usage
from stratavore.store.database import Database
from stratavore.store.runners import Sighting
from stratavore.store.usage import Used

KEY = b"k" * 32
HOST = "here"
STATE_DIRECTORY = uuid.UUID(int=1)
LIMIT = "max_concurrent_runners"
MEMORY = "max_memory_mb"
TOKENS = "max_tokens_per_day"
OPERATOR = Operator(id="1", user="ann", uid=1, host=HOST)
MACHINE = MachineView(
    processors=2, load=0.5, memory_mb=8000, memory_available_mb=6000, disk_mb=100000, disk_free_mb=50000
)
SPEC = LaunchSpec(agent="command", argv=("true",), cwd="/")

Request = AdmitRequest | PlaceRequest | RecordRequest
Answer = Admission | Placed | Recorded


@dataclass
class Session:
    """A session as its workflow sees it: each request has a step of its own."""

    project: ProjectView
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    incarnation: int = 1
    step: int = 0
    host: str | None = None
    """The only one that it runs on."""
    failover: Failover = Failover.WAIT

    def admit(self, *, resumes: bool = False, god: Operator | None = None, no_queue: bool = False) -> AdmitRequest:
        """Take a slot."""
        return AdmitRequest(
            session_id=self.session_id,
            step=self._next("admit"),
            incarnation=str(self.incarnation),
            project_id=self.project.project_id,
            project=self.project.name,
            spec=SPEC.model_copy(update={"host": self.host, "failover": self.failover}),
            resumes=resumes,
            god=god,
            no_queue=no_queue,
        )

    def place(self, *, host: str | None = None, relaunch: bool = False, destination: str | None = None) -> PlaceRequest:
        """Make the next runner."""
        return PlaceRequest(
            session_id=self.session_id,
            step=self._next("place"),
            host=host,
            relaunch=relaunch,
            destination=destination,
        )

    def record(
        self, state: SessionState, runner_id: str | None = None, status: RunnerStatus = RunnerStatus.FAILED
    ) -> RecordRequest:
        """Be in the state from now on; the runner, if one is named, has ended."""
        return RecordRequest(
            session_id=self.session_id,
            step=self._next("record"),
            project=self.project.name,
            state=state,
            reason=f"it is {state}",
            release=state is not SessionState.RECOVERING,
            exit=ended(runner_id) if runner_id else None,
            status=status if runner_id else None,
        )

    def _next(self, name: str) -> str:
        self.step += 1
        return f"{self.incarnation}/{self.step}/{name}"


class Store:
    """A database with a host whose lease is good."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def project(self, name: str = "site") -> ProjectView:
        """A new project."""
        async with self.database.pool.acquire() as connection:
            made = await projects.create(connection, name, "/", "command", LaunchOptions())
        assert made is not None
        return made

    async def host(
        self,
        name: str = HOST,
        lease_seconds: float = 3600,
        *,
        daemon_id: uuid.UUID | None = None,
        machine: MachineView | None = None,
    ) -> None:
        """A host, with a lease of that many seconds from now."""
        async with self.database.pool.acquire() as connection:
            renewed = await hosts.renew(
                connection,
                name,
                daemon_id or uuid.uuid4(),
                state_directory=STATE_DIRECTORY,
                version="1",
                boot_id="boot",
                lease_seconds=lease_seconds,
                machine=machine,
            )
        assert renewed

    async def do(self, request: Request) -> Answer:
        """Have a step done."""
        return await do(self.database, request)

    async def admitted(self, session: Session, *, no_queue: bool = False) -> Admission:
        """Have it take a slot or a place in the line."""
        answer = await self.do(session.admit(no_queue=no_queue))
        assert isinstance(answer, Admission)
        return answer

    async def placed(self, session: Session, host: str | None = None) -> Placement:
        """Have its next runner made."""
        answer = await self.do(session.place(host=host))
        assert isinstance(answer, Placed)
        assert answer.placement is not None
        return answer.placement

    async def runner(self, session: Session) -> Placement:
        """The first runner of a new session."""
        assert (await self.admitted(session)).granted
        return await self.placed(session)

    async def limit(
        self, project: ProjectView | Session | None, value: int | None, name: str = LIMIT
    ) -> tuple[str, ...]:
        """Set or unset a limit as people do. Returns who got a slot by it."""
        async with self.database.transaction("test") as transaction:
            await limits.set_limit(transaction.connection, *_scope(project), name, value)
            return await admission.grant(transaction.connection)

    async def use_tokens(
        self,
        runner_id: str,
        tokens: int,
        at: datetime | None = None,
        message: str = "",
        cost: Decimal | None = None,
    ) -> None:
        """Let a runner have used so many tokens, as a host's monitor counts them."""
        session_id = session_of(runner_id)
        reply = Reply(
            id=message or str(uuid.uuid4()), model=None, at=at or datetime.now(UTC), tokens=Tokens(input=tokens)
        )
        async with self.database.transaction("test") as transaction:
            await sessions.lock(transaction.connection, session_id)
            await usage.add(transaction.connection, [Used(runner_id, session_id, reply, cost)])

    async def use_memory(self, runner_id: str, megabytes: float) -> None:
        """Let a runner have been measured."""
        async with self.database.transaction("test") as transaction:
            sighting = Sighting(runner_id, Judgement(Activity.BUSY), memory_mb=megabytes)
            await runners.flush(transaction.connection, [sighting])

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Ask the database directly."""
        found: list[asyncpg.Record] = await self.database.pool.fetch(statement, *values)
        return found


def _scope(of: ProjectView | Session | None) -> tuple[str, str]:
    match of:
        case None:
            return "global", ""
        case Session(session_id=session_id):
            return "session", session_id
        case _:
            return "project", of.project_id


async def do(database: Database, request: Request) -> Answer:
    """Have a step done by the activity that does it in a worker."""
    match request:
        case AdmitRequest():
            return await AdmissionActivities(database).admit(request)
        case PlaceRequest():
            return await AdmissionActivities(database).place(request)
        case RecordRequest():
            return await RecordActivities(database).record(request)


def ended(runner_id: str) -> RunnerExit:
    """It crashed."""
    return RunnerExit(
        runner_id=runner_id,
        kind=ExitKind.CRASHED,
        at=datetime.now(UTC),
        lived=timedelta(seconds=1),
        reason="it crashed",
    )
