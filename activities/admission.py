"""Taking a slot, choosing a host: local activities on Postgres."""

import asyncpg
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.session import Hold, LiveRunner
from stratavore.models.states import HELD_STATES, SessionState
from stratavore.models.steps import Admission, AdmitRequest, FindRequest, Found, Placed, PlaceRequest
from stratavore.store import admission, holds, hosts, runners, sessions, steps
from stratavore.store.database import Database, Transaction
from stratavore.store.record import held_event


class AdmissionActivities:
    """What comes before a launch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def admit(self, request: AdmitRequest) -> Admission:
        """Open the session's row, if this workflow has not, and take a slot or a place in the line.

        Raises:
            ApplicationError: the project was deleted.
        """
        try:
            return await self._admit(request)
        except asyncpg.ForeignKeyViolationError as error:
            # Deleted since somebody asked for the session: there is nothing that it could run in, now or later.
            raise ApplicationError(f"the project {request.project} was deleted", non_retryable=True) from error

    async def _admit(self, request: AdmitRequest) -> Admission:
        async with self._database.transaction("admit") as transaction:
            connection = transaction.connection
            # Else a try that was held up for long (a machine that slept) would give an ended session a slot.
            if not await steps.begin(connection, request.session_id, request.step):
                done = await steps.find(connection, request.session_id, request.step)
                if done and done.get("hold"):
                    return Admission.model_validate(done)
                standing = await admission.standing(connection, request.session_id)
                left = request.no_queue and not standing.granted
                return standing.model_copy(update={"refused": "there was none"}) if left else standing
            opened = await sessions.open_session(
                connection, request.session_id, request.project_id, request.spec, request.incarnation
            )
            if opened and not request.resumes:
                transaction.emit(
                    NewEvent(
                        session_id=request.session_id,
                        key="created",
                        type=EventType.SESSION_CREATED,
                        project=request.project,
                        data={"agent": request.spec.agent, "cwd": request.spec.cwd},
                    )
                )
            if request.god:
                held = await holds.pass_by(connection, request.session_id)
                full = await admission.enter(connection, request.session_id, request.project_id)
                passed = "; ".join(reason for reason in (held and held.reason, full) if reason) or None
                transaction.emit(
                    NewEvent(
                        session_id=request.session_id,
                        key=request.step,
                        type=EventType.SYSTEM_GOD,
                        project=request.project,
                        data={**request.god.model_dump(), "command": "take a slot", "passed": passed},
                    )
                )
                return Admission(granted=True)
            if hold := await holds.holding(connection, request.session_id):
                return await self._held(transaction, request, hold)
            take = admission.join_if_free if request.no_queue else admission.join
            joined = await take(connection, request.session_id, request.project_id)
            if not joined.granted:
                await sessions.set_state(connection, request.session_id, SessionState.QUEUED, None)
                why = {"limit": joined.limit, "position": joined.position, "reason": joined.refused or joined.reason}
                transaction.emit(
                    NewEvent(
                        session_id=request.session_id,
                        key=f"queued/{joined.ticket}",  # who looks again while it waits tells nothing new
                        type=EventType.QUOTA_EXCEEDED,
                        project=request.project,
                        data=why,
                    )
                )
        return joined

    async def _held(self, transaction: Transaction, request: AdmitRequest, hold: Hold) -> Admission:
        """Give back what the session has of slots and lines, and show what holds it."""
        connection = transaction.connection
        grants = await admission.leave(connection, request.session_id)
        if request.no_queue:
            return Admission(granted=False, grants=grants, refused=hold.reason)
        if hold.state in HELD_STATES:  # else its workflow records what follows
            await sessions.set_state(connection, request.session_id, hold.state, hold.reason)
            event = held_event(request, hold)
            if not await holds.told(connection, event):
                transaction.emit(event)
        answer = Admission(granted=False, grants=grants, hold=hold)
        await steps.keep(connection, request.session_id, request.step, answer.model_dump(mode="json"))
        return answer

    @activity.defn
    async def place(self, request: PlaceRequest) -> Placed:
        """Choose a host and create the next runner."""
        state = SessionState.RECOVERING if request.relaunch else SessionState.STARTING
        async with self._database.transaction("place") as transaction:
            connection = transaction.connection
            placed = await runners.place(
                connection, request.session_id, request.step, request.host, state, destination=request.destination
            )
            if request.relaunch:
                await runners.end_paused(connection, request.session_id)
            if placed.holds_slot and placed.placement is None:
                reason = await hosts.why_none(connection, request.session_id)
                await sessions.explain_waiting(connection, request.session_id, reason)
                placed = placed.model_copy(update={"reason": reason})
        return placed

    @activity.defn
    async def find(self, request: FindRequest) -> Found:
        """A runner of the session that has not ended."""
        async with self._database.pool.acquire() as connection:
            for runner in await runners.views(connection, session_id=request.session_id):
                return Found(
                    live=LiveRunner(runner_id=runner.runner_id, generation=runner.generation, host=runner.host),
                    started=runner.started_at is not None,
                )
        return Found()
