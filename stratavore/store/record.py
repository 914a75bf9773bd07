"""The end of a runner and all that follows from it, in one transaction."""

from typing import Any

from stratavore.events.envelope import EventType, NewEvent
from stratavore.models.session import Hold
from stratavore.models.states import RunnerStatus, SessionState
from stratavore.models.steps import AdmitRequest, Recorded, RecordRequest, RunnerExit
from stratavore.naming import short
from stratavore.store import admission, runners, sessions, steps
from stratavore.store.database import Database, Transaction

_SESSION_EVENTS = {
    SessionState.PAUSED: "session.paused",
    SessionState.PARKED: "session.parked",
    SessionState.LIMITED: "session.limited",
    SessionState.ASKING: "session.asking",
    SessionState.ENDED: "session.ended",
}


async def record(database: Database, request: RecordRequest) -> Recorded:
    """Write a runner's end, the session's next state, its slot, the grants that follow, and the events.

    A step that was done before has no second effect and gives the same grants.
    """
    async with database.transaction("record") as transaction:
        return await record_within(transaction, request)


async def record_within(transaction: Transaction, request: RecordRequest) -> Recorded:
    """The same, as a part of a transaction."""
    connection = transaction.connection
    # A repeated step waits here for the first one.
    first = await steps.begin(connection, request.session_id, request.step)
    if not await sessions.lock(connection, request.session_id):
        # Cancelled before its first step was done: there is nothing to write about.
        return Recorded(state=request.state, released=request.release)
    if not first and (done := await steps.find(connection, request.session_id, request.step)):
        return Recorded.model_validate(done).model_copy(update={"repeated": True})
    if not request.exit and (live := await runners.live(connection, request.session_id)):
        # A launch came through that was thought to be over, or this is of a worker that froze, and others went on: what
        # becomes of the session is recorded with the end of its runner.
        return Recorded(state=SessionState.RUNNING, released=False, live=live)
    if request.exit and request.status:
        await _end_runner(transaction, request, request.exit, request.status)
    await sessions.set_state(connection, request.session_id, request.state, request.reason)
    if request.release:
        await runners.end_unlaunched(connection, request.session_id, request.reason)
    if request.state is SessionState.ENDED:
        await runners.end_paused(connection, request.session_id)
    if request.hold:
        transaction.emit(held_event(request, request.hold))
    elif event := _SESSION_EVENTS.get(request.state):
        transaction.emit(
            NewEvent(
                session_id=request.session_id,
                key=request.step,
                type=event,
                project=request.project,
                data={"reason": request.reason, **_last_of(request)},
            )
        )
    if request.state is SessionState.PARKED:
        transaction.emit(_alert(request))
    grants = await admission.leave(connection, request.session_id) if request.release else ()
    recorded = Recorded(state=request.state, released=request.release, grants=grants)
    await steps.keep(connection, request.session_id, request.step, recorded.model_dump(mode="json"))
    return recorded


def held_event(request: RecordRequest | AdmitRequest, hold: Hold) -> NewEvent:
    """A session is held from this step on."""
    until = hold.until.isoformat() if hold.until else None
    data = {"reason": hold.reason, "cause": hold.cause, "until": until}
    key = f"held/{hold.cause}/{request.step}"
    return NewEvent(request.session_id, key, _SESSION_EVENTS[hold.state], request.project, data)


def _last_of(request: RecordRequest) -> dict[str, Any]:
    """How the runner ended over which a session is parked: nobody was looking."""
    if request.state is not SessionState.PARKED or request.exit is None:
        return {}
    end = request.exit
    return {"runner_id": end.runner_id, "exit_code": end.code, "last_lines": end.last_lines}


def _alert(request: RecordRequest) -> NewEvent:
    """A session that the system put away waits for a person."""
    data = {
        "severity": "warning",
        "message": f"The session {short(request.session_id)} is parked: {request.reason}",
        "session_id": request.session_id,
        **_last_of(request),
    }
    key = f"parked/{request.session_id}/{request.step}"
    return NewEvent(None, key, EventType.SYSTEM_ALERT, request.project, data)


async def _end_runner(transaction: Transaction, request: RecordRequest, end: RunnerExit, status: RunnerStatus) -> None:
    await runners.finish(transaction.connection, status, end)
    data: dict[str, Any] = {
        "runner_id": end.runner_id,
        "kind": end.kind,
        "exit_code": end.code,
        "signals": list(end.signals),
        "lived_s": round(end.lived.total_seconds(), 3),
        "reason": end.reason,
    }
    if status is RunnerStatus.FAILED:
        data["last_lines"] = end.last_lines
    transaction.emit(
        NewEvent(
            session_id=request.session_id,
            key=f"{end.runner_id}/ended",
            type="runner.failed" if status is RunnerStatus.FAILED else "runner.stopped",
            project=request.project,
            data=data,
        )
    )
