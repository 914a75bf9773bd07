"""Repairs: each asks its owner again, under the session's lock where Postgres is it, and then changes one thing.

A launch or an end may be under way; what is found to be right by now is left alone. Every repair can be repeated.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import Client

from stratavore import naming
from stratavore.errors import StratavoreError
from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.findings import DifferenceKind
from stratavore.models.session import ResumeSignal, TerminateSignal
from stratavore.models.states import (
    PUT_AWAY_STATES,
    RESTING_STATES,
    SLOTLESS_STATES,
    ExitKind,
    RunnerStatus,
    SessionState,
)
from stratavore.models.steps import RecordRequest, RunnerExit
from stratavore.naming import generation_of, session_of
from stratavore.reconcile.behind import newest
from stratavore.reconcile.catch_up import catch_up, open_session
from stratavore.reconcile.finding import Finding, Repair
from stratavore.reconcile.here import Here
from stratavore.reconcile.temporal import closed
from stratavore.store import admission, reconcile, runners, sessions
from stratavore.store.database import Database, Transaction
from stratavore.store.reconcile import SessionRow
from stratavore.store.record import record_within

_log = logging.getLogger(__name__)

_WITHOUT_WORKFLOW = "its workflow had been terminated"


class NotRepaired(StratavoreError):
    """{reason}."""

    code = "not_repaired"


TakeUp = Callable[[str, str, Any], Awaitable[None]]
"""Starts the workflow of a session again, with a signal, on any live runner."""
PutAway = Callable[[str], Awaitable[None]]
"""Starts the workflow of a session that rests again, at rest."""
Wake = Callable[[str], Awaitable[None]]
"""Tells a session's workflow that a slot may be there; one that is closed cannot hear it."""


class Repairs:
    """Repairs one finding at a time."""

    def __init__(
        self,
        client: Client,
        database: Database,
        host: str,
        take_up: TakeUp,
        put_away: PutAway,
        wake: Wake,
        here: Here | None,
    ) -> None:
        self._host = host
        self._client = client
        self._database = database
        self._start_again = take_up
        self._put_away = put_away
        self._wake = wake
        self._here = here

    async def repair(self, finding: Finding) -> bool:
        """Repair it. Returns False if there is nothing to repair any more.

        Raises:
            NotRepaired: it was tried, and the difference is still there.
            StratavoreError, RPCError, asyncpg.PostgresError, OSError: somebody does not answer.
        """
        assert finding.repair is not None
        repairs: dict[Repair, Callable[[Finding], Awaitable[bool]]] = {
            Repair.TAKE_UP: self._take_up,
            Repair.END_AGENT: self._take_up,
            Repair.CATCH_UP: self._catch_up,
            Repair.OPEN_SESSION: self._open_session,
            Repair.END_SESSION: self._end_session,
            Repair.TERMINATE_WORKFLOW: self._terminate_workflow,
            Repair.WATCH: self._watch,
            Repair.END_RUNNER: self._end_runner,
            Repair.END_PROCESSES: self._end_processes,
            Repair.CLOSE_TERMINAL: self._close_terminal,
            Repair.RELEASE_SLOT: self._release_slot,
            Repair.TAKE_SLOT: self._take_slot,
            Repair.ASK_AGAIN: self._ask_again,
            Repair.REMOVE_DIRECTORY: self._remove_directory,
        }
        done = await repairs[finding.repair](finding)
        if done:
            _log.warning("reconciled: %s; %s", finding.what, finding.repair)
        return done

    async def tell(self, finding: Finding) -> None:
        """Record an alert for what is left to a person: once, however often it is found."""
        if finding.kind is DifferenceKind.HOST_AWAY:
            return  # told already, with its sessions, by the daemon that saw its lease run out
        about = f"{finding.kind}/{finding.subject}/{finding.since.isoformat() if finding.since else ''}"
        data = {**_data(finding), "severity": "warning", "message": finding.what, "advice": finding.advice}
        async with self._database.transaction("reconcile.tell") as transaction:
            transaction.emit(NewEvent(None, f"reconcile/{about}", EventType.SYSTEM_ALERT, _project(finding), data))

    # Sessions

    async def _take_up(self, finding: Finding) -> bool:
        async with self._without_workflow(finding) as found:
            if found is None:
                return False
            transaction, session = found
            request_id = str(uuid4())
            if finding.repair is Repair.END_AGENT:
                await self._start_again(session.session_id, "terminate", TerminateSignal(request_id=request_id))
            elif session.state in RESTING_STATES:
                await self._put_away(session.session_id)
            else:
                await self._start_again(session.session_id, "resume", ResumeSignal(request_id=request_id))
            self._emit(transaction, finding, session)
        return True

    async def _end_session(self, finding: Finding) -> bool:
        async with self._without_workflow(finding) as found:
            if found is None:
                return False
            transaction, session = found
            if await runners.live(transaction.connection, session.session_id):
                return False  # launched since it was looked at
            request = RecordRequest(
                session_id=session.session_id,
                step=f"reconcile/{session.incarnation}/end",
                project=session.project,
                state=SessionState.ENDED,
                reason=_WITHOUT_WORKFLOW,
                release=True,
            )
            recorded = await record_within(transaction, request)
            self._emit(transaction, finding, session)
        await self._wake_all(recorded.grants)
        return True

    async def _terminate_workflow(self, finding: Finding) -> bool:
        async with self._database.pool.acquire() as connection:
            if await reconcile.session(connection, finding.subject):
                return False
        if await closed(self._client, finding.subject):
            return False
        workflow = self._client.get_workflow_handle(naming.workflow_id(finding.subject))
        await workflow.terminate("Postgres has no such session; terminated by stratavore reconcile --end-orphans")
        await self._tell_repaired(finding)
        return True

    # What a restored database does not know

    async def _catch_up(self, finding: Finding) -> bool:
        here = self._on_host()
        generation = newest(await here.look()).get(finding.subject, 0)
        async with self._locked(finding.subject) as found:
            if found is None:
                return False
            transaction, session = found
            grants = await catch_up(transaction, self._client, here, self._host, session, generation)
            if grants is None:
                return False
            self._emit(transaction, finding, session)
        await here.watch_all()
        await self._wake_all(grants)
        return True

    async def _open_session(self, finding: Finding) -> bool:
        async with self._database.transaction("reconcile") as transaction:
            project = await open_session(transaction, self._client, finding.subject)
            if project is None:
                return False
            data = _data(finding) | {"did": str(finding.repair)}
            event = NewEvent(finding.subject, f"reconcile/{uuid4()}", EventType.SYSTEM_RECONCILED, project, data)
            transaction.emit(event)
        await self._wake(finding.subject)
        return True

    # Runners of this host

    async def _watch(self, finding: Finding) -> bool:
        await self._on_host().watch_all()
        await self._tell_repaired(finding)
        return True

    async def _end_runner(self, finding: Finding) -> bool:
        assert finding.session is not None
        session_id, generation = _parts(finding.subject)
        async with self._locked(session_id) as found:
            if found is None:
                return False
            transaction, session = found
            if session.state is not SessionState.ENDED and session.generation <= generation:
                return False
            end = RunnerExit(
                runner_id=finding.subject,
                kind=ExitKind.LOST,
                at=datetime.now(UTC),
                lived=timedelta(0),
                reason="it outlived its session",
            )
            # Recorded first: whoever hears that its process ends knows then that nothing follows from it.
            if not await runners.finish(transaction.connection, RunnerStatus.TERMINATED, end):
                return False
            transaction.emit(
                NewEvent(
                    session_id=session_id,
                    key=f"{finding.subject}/ended",
                    type=EventType.RUNNER_STOPPED,
                    project=session.project,
                    data={"runner_id": finding.subject, "kind": end.kind, "reason": end.reason},
                )
            )
            self._emit(transaction, finding, session)
        await self._end_all(finding.subject)
        return True

    async def _end_processes(self, finding: Finding) -> bool:
        if not await self._may_end(finding) or not await self._on_host().processes_of(finding.subject):
            return False
        await self._end_all(finding.subject)
        await self._tell_repaired(finding)
        return True

    async def _close_terminal(self, finding: Finding) -> bool:
        here = self._on_host()
        terminals = (await here.look()).terminals
        if finding.subject not in terminals or not await self._may_end(finding):
            return False
        await here.close_terminal(terminals[finding.subject], finding.subject)
        await self._tell_repaired(finding)
        return True

    async def _remove_directory(self, finding: Finding) -> bool:
        here = self._on_host()
        async with self._database.pool.acquire() as connection:
            unknown = await reconcile.unknown(connection, [finding.subject])
        seen = await here.look()
        if not unknown or finding.subject not in seen.directories:
            return False
        if finding.subject in seen.living or not here.nothing_lives(finding.subject):
            raise NotRepaired(reason="something of it may live, so the directory was kept")
        await here.remove_directory(finding.subject)
        await self._tell_repaired(finding)
        return True

    # Slots

    async def _release_slot(self, finding: Finding) -> bool:
        async with self._locked(finding.subject) as found:
            if found is None:
                return False
            transaction, session = found
            connection = transaction.connection
            if session.state not in SLOTLESS_STATES:
                return False
            if await reconcile.has_unended_runner(connection, session.session_id):
                return False
            grants = await admission.leave(connection, session.session_id)
            self._emit(transaction, finding, session)
        await self._wake_all(grants)
        return True

    async def _take_slot(self, finding: Finding) -> bool:
        async with self._locked(finding.subject) as found:
            if found is None:
                return False
            transaction, session = found
            connection = transaction.connection
            if not await reconcile.runs(connection, session.session_id):
                return False
            if not await reconcile.take_slot(connection, session.session_id, session.project_id):
                return False
            self._emit(transaction, finding, session)
        return True

    async def _ask_again(self, finding: Finding) -> bool:
        async with self._locked(finding.subject) as found:
            if found is None:
                return False
            transaction, session = found
            standing = await admission.standing(transaction.connection, session.session_id)
            waits = session.state is SessionState.QUEUED or session.state in PUT_AWAY_STATES
            if not waits or standing.granted or standing.position:
                return False
            self._emit(transaction, finding, session)
        await self._wake(finding.subject)
        return True

    # What they share

    def _on_host(self) -> Here:
        assert self._here is not None, "what differs on a host is found by who can look at it"
        return self._here

    @asynccontextmanager
    async def _locked(self, session_id: str) -> AsyncIterator[tuple[Transaction, SessionRow] | None]:
        """A transaction that alone changes the session, and the session as it is; None: it has no row."""
        async with self._database.transaction("reconcile") as transaction:
            session = None
            if await sessions.lock(transaction.connection, session_id):
                session = await reconcile.session(transaction.connection, session_id)
            yield (transaction, session) if session else None

    @asynccontextmanager
    async def _without_workflow(self, finding: Finding) -> AsyncIterator[tuple[Transaction, SessionRow] | None]:
        """The session, locked, if it has not changed since it was looked at and still has no workflow.

        A workflow that is started meanwhile waits for the lock with its first step.
        """
        assert finding.session is not None
        async with self._locked(finding.subject) as found:
            same = (
                found is not None
                and found[1].incarnation == finding.session.incarnation
                and found[1].generation == finding.session.generation
                and found[1].state == finding.session.state
            )
            yield found if same and await closed(self._client, finding.subject) else None

    async def _may_end(self, finding: Finding) -> bool:
        """Whether the runner is over for good; of one that nobody knows, whether it still is so."""
        session_id, generation = _parts(finding.subject)
        async with self._database.transaction("reconcile.ask") as transaction:
            connection = transaction.connection
            await sessions.lock(connection, session_id)
            if await reconcile.proven_over(connection, session_id, generation):
                return True
            return finding.forced and bool(await reconcile.unknown(connection, [finding.subject]))

    async def _end_all(self, runner_id: str) -> None:
        if left := await self._on_host().end_processes(runner_id):
            pids = ", ".join(str(one.pid) for one in left)
            raise NotRepaired(reason=f"processes live on, even after SIGKILL: {pids}")

    async def _wake_all(self, session_ids: tuple[str, ...]) -> None:
        for session_id in session_ids:
            await self._wake(session_id)

    async def _tell_repaired(self, finding: Finding) -> None:
        async with self._database.transaction("reconcile") as transaction:
            self._emit(transaction, finding, finding.session)

    def _emit(self, transaction: Transaction, finding: Finding, session: SessionRow | None) -> None:
        """Each repair is an event: of its session, if there is one."""
        transaction.emit(
            NewEvent(
                session_id=session.session_id if session else None,
                key=f"reconcile/{uuid4()}",
                type=EventType.SYSTEM_RECONCILED,
                project=session.project if session else "",
                data=_data(finding) | {"did": str(finding.repair)},
            )
        )


def _data(finding: Finding) -> dict[str, object]:
    return {"kind": str(finding.kind), "subject": finding.subject, "what": finding.what}


def _project(finding: Finding) -> str:
    return finding.session.project if finding.session else ""


def _parts(runner_id: str) -> tuple[str, int]:
    return session_of(runner_id), generation_of(runner_id)
