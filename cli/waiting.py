"""Waiting for a session to become what was asked for, with a word to the person meanwhile."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from cli.service import PATIENCE, service
from cli.terminal import Progress
from cli.text import short
from stratavore.errors import NotSeen, ServerAway, StratavoreError, TookTooLong

STEP = 1.0
"""Seconds of one question; what is shown is at most this old."""
START_SECONDS = 60.0
SETTLE_SECONDS = 0.3

AT_REST = ("paused", "parked", "ended")
HELD = ("limited", "asking")
STARTED = ("running", "recovering", "unreachable", *HELD, *AT_REST)
"""What a session that was started becomes, for good or ill, unless it waits in the line."""

Session = dict[str, Any]


def wait_once(session_id: str, states: Iterable[str], seconds: float, generation: int = 0) -> Session | None:
    """The session in one of the states, or after ``seconds`` as it is; None: nobody knows it yet."""
    found: Session | None = service.call(
        "wait",
        away="what was asked for is noted, and takes effect when a daemon is back",
        session_id=session_id,
        states=list(states),
        timeout_s=seconds,
        generation=generation,
        patience=PATIENCE + seconds,
    )
    return found


def as_it_is(session_id: str, states: Iterable[str] = (), seconds: float = 0.0) -> Session | None:
    """As :func:`wait_once` says it is; None also if nobody can look now."""
    try:
        return wait_once(session_id, states, seconds)
    except StratavoreError as error:
        forgive(error)
        return None


def forgive(error: StratavoreError) -> None:
    """A server that failed while somebody waited has not undone what was asked for: look again.

    Raises:
        StratavoreError: it is another failure.
    """
    if error.code != ServerAway.code:
        raise error


def wait_for(
    session_id: str,
    states: Iterable[str],
    *,
    seconds: float,
    progress: Progress,
    doing: str,
    generation: int = 0,
    enough: Callable[[Session], bool] = lambda _: False,
    forgiven: Callable[[Session], bool] = lambda _: False,
) -> Session:
    """The session when it is in one of the states, or when ``enough`` says so.

    Args:
        session_id: which session.
        states: the states waited for.
        seconds: how long; time in which ``forgiven`` holds does not count.
        progress: where to say what is waited for.
        doing: what happens, in a word: ``starting``.
        generation: what an earlier runner is does not count.
        enough: whether to return with the session as it is.
        forgiven: whether to be patient with the session as it is.

    Raises:
        TookTooLong: it has not come to it in time.
        NotSeen: nobody could look at it by then.
    """
    wanted = frozenset(states)
    began = time.monotonic()
    while True:
        left = began + seconds - time.monotonic()
        failure: StratavoreError | None = None
        found: Session | None = None
        try:
            found = wait_once(session_id, wanted, max(0.0, min(STEP, left)), generation)
        except StratavoreError as error:
            forgive(error)
            failure = error
        if found and ((found["state"] in wanted and found["generation"] >= generation) or enough(found)):
            return found
        if found and forgiven(found):
            began = time.monotonic()
        elif left <= 0 and failure:
            raise NotSeen(session=short(session_id), doing=doing, reason=str(failure)) from failure
        elif left <= 0:
            state = found["state"] if found else "queued"
            raise TookTooLong(session=short(session_id), state=state, seconds=f"{seconds:.0f}")
        progress.show(f"{short(session_id)}: {_told(found) or doing} …")
        if failure:
            time.sleep(min(STEP, max(0.0, left)))


def in_line(session: Session) -> bool:
    """Whether it waits for a slot."""
    return session["state"] == "queued" and session["position"] is not None


def for_host(session: Session) -> bool:
    """Whether it waits for the only host that it runs on."""
    return bool(
        session["state"] == "queued" and session["position"] is None and session.get("bound_to") and session["reason"]
    )


def _told(session: Session | None) -> str:
    if session and for_host(session):
        return f"queued, {session['reason']}"
    return f"queued, position {session['position']}" if session and in_line(session) else ""
