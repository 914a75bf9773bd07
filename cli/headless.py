"""``stratavore launch --print``: an agent's answer, streamed, from runner to runner, until the session has ended.

The answer is read from the files that the agent writes, so it comes whoever else is away; how the session is, is asked
again and again until somebody tells.
"""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn
from uuid import uuid4

import typer

from cli import text
from cli.answers import Answers
from cli.attach import this_host
from cli.service import PATIENCE, service
from cli.terminal import note
from cli.waiting import AT_REST, HELD, Session, in_line
from stratavore.errors import EXIT_AGENT_FAILED, InvalidInput, StratavoreError
from stratavore.runtime.rundir import RunDirectory

KEYS = ("result", "session_id", "exit_code", "state", "reason", "tokens_used", "cost_usd")
"""Of an answer for programs; beside them is what the agent says itself."""
LOOK_SECONDS = 0.05
STATE_SECONDS = 2.0
"""Between two looks at a session whose agent is at work."""
AWAY_SECONDS = 1.0
END_SECONDS = 60.0
"""After Ctrl-C: what the agent is granted, and what a busy machine adds."""
ROW_SECONDS = 5.0
"""Between a launch and the session's row."""
_OVER = ("ended", "parked")
_OF_SIGNALS = 128
_AWAY = "its agent goes on, and how it ended is told when a daemon is back"


class Interrupted(BaseException):
    """Somebody ends this command."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def asked(ask: str, prompt: str | None, count: int) -> str:
    """What the agent is asked; ``-`` takes standard input.

    Raises:
        InvalidInput: it is empty, or does not go with the other options.
    """
    if prompt is not None:
        raise InvalidInput(reason="What --print asks is the prompt: leave --prompt out")
    if count > 1:
        raise InvalidInput(reason="--print prints one answer: leave --count out")
    found = sys.stdin.read() if ask == "-" else ask
    if not found.strip():
        raise InvalidInput(reason="There is nothing to ask: give a text after --print, or '-' for standard input")
    return found


def end_in_order() -> None:
    """From now on Ctrl-C and SIGTERM raise :class:`Interrupted`."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def answer(session_id: str, launch: Callable[[], None], answers: Answers) -> int:
    """Launch a session, and write what its agent answers, as it comes.

    Returns:
        The agent's exit code; after an interrupt that of who is ended by the signal.
    """
    short = text.short(session_id)
    try:
        launch()
        return _finish(session_id, follow_answer(session_id, answers), answers)
    except Interrupted as interrupted:
        note(f"\nEnding the session {short}; launched with --detach it would go on. Not to wait: Ctrl-C")
        try:
            _end(session_id)
        except Interrupted:
            note(f"\nThe session {short} is told to end.")
        return _OF_SIGNALS + interrupted.number


def _finish(session_id: str, session: Session, answers: Answers) -> int:
    """Write what belongs to the end of an answer; returns the exit code."""
    last = _last_runner(session_id)
    code = last.get("exit_code") if session["state"] == "ended" else None
    code = EXIT_AGENT_FAILED if code is None else int(code)
    answers.finish(
        {
            "session_id": session_id,
            "exit_code": code,
            "state": session["state"],
            "reason": session["reason"],
            "tokens_used": session["tokens_used"],
            "cost_usd": session["cost_usd"],
        }
    )
    if code:
        _tell_failure(session, last)
    return code


def follow_answer(session_id: str, answers: Answers, generation: int = 1) -> Session:
    """Write what the runners from ``generation`` on answer; returns the session when it will not go on by itself."""
    return _Follow(session_id, answers, generation).until_over()


class _Follow:
    """Follows one session from one of its runners on."""

    def __init__(self, session_id: str, answers: Answers, generation: int) -> None:
        self._session_id = session_id
        self._answers = answers
        self._generation = generation
        self._position = 0
        self._told: set[str] = set()
        self._state = ""

    def until_over(self) -> Session:
        """Read on until the session will not go on by itself; returns it as it is then."""
        next_look = 0.0
        while True:
            run = RunDirectory(service.home, f"{self._session_id}.{self._generation}")
            ended = run.exit() is not None  # before its output is read: then that is all of it
            self._read(run)
            if ended or time.monotonic() >= next_look:
                session = self._look(AWAY_SECONDS if ended else 0.0)
                next_look = time.monotonic() + (STATE_SECONDS if session else AWAY_SECONDS)
                if session and session["generation"] > self._generation:
                    self._next(run)
                    next_look = 0.0
                elif session and session["state"] in _OVER:
                    self._read(run)
                    self._answers.end_runner()
                    return session
            time.sleep(LOOK_SECONDS)

    def _read(self, run: RunDirectory) -> None:
        self._position = self._answers.read(run.output, self._position)

    def _next(self, run: RunDirectory) -> None:
        """The runner was lost: the next one goes on with the conversation, and we with its answer."""
        self._read(run)
        self._answers.end_runner()
        self._generation, self._position = self._generation + 1, 0
        self._say(f"The agent of {text.short(self._session_id)} died and runs again (run {self._generation}).")

    def _look(self, seconds: float) -> Session | None:
        """The session, once it is at rest or after ``seconds``; None: nobody tells now."""
        try:
            found: Session | None = service.call(
                "wait",
                away=_AWAY,
                patience=PATIENCE + seconds,
                session_id=self._session_id,
                states=[state for state in AT_REST if state != self._state],  # a change is waited for
                timeout_s=seconds,
            )
        except StratavoreError as error:
            self._say(f"How the session is cannot be told now, and is asked again: {error}")
            return None
        if found:
            self._state = found["state"]
            self._tell(found)
        return found

    def _tell(self, session: Session) -> None:
        short = text.short(self._session_id)
        if in_line(session):
            self._say(f"The session {short} is queued, position {session['position']}.")
        elif session["state"] in HELD:
            self._say(f"The session {short} is {session['state']}: {session['reason']}")
        elif session["state"] == "paused":
            self._say(f"The session {short} is paused. Go on with: stratavore resume {short}")
        elif session["host"] not in (None, this_host()):
            raise InvalidInput(
                reason=f"The session {short} runs on {session['host']}, and its answer is there; use: "
                f"ssh {session['host']} stratavore logs {short}"
            )

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            note(sentence)


def _end(session_id: str) -> None:
    """Ask for the session's end, and wait for it."""
    request_id, began = str(uuid4()), time.monotonic()
    asked_for = False
    while time.monotonic() < began + END_SECONDS:
        try:
            if not asked_for:
                service.call(
                    "command",
                    away="its end is noted, and comes when a daemon is back",
                    patience=3 * PATIENCE,
                    target=session_id,
                    action="terminate",
                    request_id=request_id,
                )
                asked_for = True
            found = service.call("wait", session_id=session_id, states=["ended"], timeout_s=1.0, patience=2 * PATIENCE)
            if service.without_daemon or (found and found["state"] == "ended"):
                return
        except StratavoreError as error:
            if error.code == "wrong_state":  # it has ended by itself
                return
            if error.code == "unknown_target":  # it has no row yet, or was never launched
                if time.monotonic() > began + ROW_SECONDS:
                    return
            else:
                note(f"It cannot be ended now, and is asked again: {error}")
            time.sleep(AWAY_SECONDS / 2)


def _last_runner(session_id: str) -> dict[str, Any]:
    """The session's last runner that ran; empty if none did."""
    while True:
        try:
            found = service.call("session_runners", away=_AWAY, session_id=session_id)
        except StratavoreError as error:
            if error.code != "server_away":
                raise
            time.sleep(AWAY_SECONDS)
        else:
            return next((one for one in reversed(found) if one["started_at"] or one["ended_at"]), {})


def _tell_failure(session: Session, last: dict[str, Any]) -> None:
    """Say on standard error why there is no good answer; what the agent said of it was on its terminal."""
    for line in (last.get("last_lines") or "").splitlines():
        note(f"  {text.one_line(line)}")
    short = text.short(session["session_id"])
    because = text.one_line(session["reason"] or "it said nothing of why").rstrip(".")
    again = f" Try again with: stratavore resume {short}" if session["state"] == "parked" else ""
    note(f"The session {short} has {'ended' if session['state'] == 'ended' else 'been parked'}: {because}.{again}")


def answer_and_exit(session_id: str, launch: Callable[[], None], answers: Answers) -> NoReturn:
    """Answer, and end this program as the agent ended."""
    try:
        code = answer(session_id, launch, answers)
    except BrokenPipeError:
        note(f"Nobody reads the answer any more; the session goes on. See it with: stratavore logs {session_id[:8]}")
        raise
    raise typer.Exit(code)
