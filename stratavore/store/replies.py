"""Whether an agent has answered what it was sent."""

from datetime import UTC, datetime, timedelta

from stratavore.models.states import Activity, SessionState
from stratavore.models.views import ReplyView
from stratavore.store import requests, runners, sessions
from stratavore.store.connection import Connection
from stratavore.store.runners import Turn

SETTLED = timedelta(seconds=5)
"""An agent that is idle for so long and told of no prompt took it without one: within a turn, or as a command."""

UNSAID = timedelta(seconds=10)
"""So long a turn's end is not believed that no words came with: on a busy machine the agent draws an empty box before
it begins, which looks as if somebody had interrupted it, and tells its reply seconds later."""

_RECOVERS = (SessionState.RUNNING, SessionState.STARTING, SessionState.RECOVERING, SessionState.UNREACHABLE)


async def look(connection: Connection, session_id: str, request_id: str) -> ReplyView:
    """How the session stands with a request that was typed."""
    state = await sessions.state_of(connection, session_id)
    if state not in _RECOVERS:
        return ReplyView(state=str(state))
    outcome = await requests.outcome(connection, request_id)
    turn = await runners.turn(connection, session_id)
    if outcome is None or outcome.state != "done" or outcome.detail is None or turn is None:
        return ReplyView(state="busy")
    at, _, told_by = outcome.detail.partition(" ")
    return judge(turn, datetime.fromtimestamp(float(at), UTC), datetime.now(UTC), told=told_by == turn.runner_id)


def judge(turn: Turn, typed_at: datetime, now: datetime, *, told: bool) -> ReplyView:
    """Whether the turn that a text began is over.

    Args:
        turn: what is known of the agent, which may be late.
        typed_at: when the text was typed, or taken.
        now: the time.
        told: whether this runner is known to have taken it as a prompt, so that a turn of its own is to come.
    """
    if turn.activity is Activity.WAITING and turn.activity_at >= typed_at:  # else it is what was just answered
        return ReplyView(state="waiting", text=turn.question or "")
    if turn.activity is not Activity.IDLE:
        return ReplyView(state="busy")
    ended = turn.turn_ended_at is not None and turn.turn_ended_at >= typed_at
    taken = turn.prompted_at is not None and turn.prompted_at >= typed_at
    idle_for = now - max(turn.activity_at, typed_at)
    settled = not told and idle_for >= SETTLED
    if ended and turn.reply is None and not turn.turn_failed and idle_for < UNSAID:
        return ReplyView(state="busy")
    if ended and (taken or settled):
        return ReplyView(state="failed" if turn.turn_failed else "answered", text=turn.reply or "")
    return ReplyView(state="answered") if settled and not taken else ReplyView(state="busy")
