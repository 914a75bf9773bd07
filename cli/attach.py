"""``stratavore attach``: a session in this terminal, from runner to runner, until one leaves or it ends."""

import json
import os
import subprocess
import sys
import termios
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import text
from cli.service import service
from cli.terminal import Progress, interactive, note
from cli.waiting import AT_REST, HELD, START_SECONDS, Session, in_line, wait_for, wait_once
from stratavore.errors import InvalidInput, ServerMissing, StratavoreError, Unreachable, WrongState
from stratavore.runtime.tmux_version import INSTALL

END_SECONDS = 15.0
"""Between the end of a program and the end of its session's record."""
_SHOWN = ("running", "unreachable")
"""A terminal on this machine can be shown whether or not its daemon is there."""
_TMUX_COMMAND = "attach-session"
# No reports of mouse, focus and pasting, plain keys, the whole screen, no colours, a cursor, the main screen.
_AS_BEFORE = "\x1b[?1000;1002;1003;1004;1005;1006;2004l\x1b[?1l\x1b>\x1b[r\x1b(B\x1b[m\x1b[?25h\x1b[?1049l"


def attach(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A session, a runner or a project.")],
    read_only: Annotated[bool, typer.Option("--read-only", "-r", help="Watch only; keys do nothing.")] = False,
) -> None:
    """Show a session in this terminal.

    Leave it with Ctrl-b d (in a tmux of your own, Ctrl-b Ctrl-b d): it goes on. Many can be attached at once.
    One that waits in line is shown when it runs, and when an agent dies, so is the next one.

    Examples:
        stratavore attach site
        stratavore attach 1a2b3c4d --read-only
    """
    if not interactive():
        raise InvalidInput(
            reason="A session can only be shown in a terminal; without one: stratavore logs, stratavore send"
        )
    session = service.call("find_session", target=target)
    if session["headless"]:
        short = text.short(session["session_id"])
        raise InvalidInput(
            reason=f"The session {short} has no terminal to be shown; see its answer with: stratavore logs {short}"
        )
    show(session["session_id"], read_only=read_only)


def show(session_id: str, *, read_only: bool = False) -> None:
    """Attach to a session's runner, and to the next one if it dies, until one leaves or nothing runs."""
    if session_id == os.environ.get("STRATAVORE_SESSION_ID"):
        raise InvalidInput(reason="This terminal is the session's own; it cannot be shown inside itself")
    short = text.short(session_id)
    shown = None
    while True:
        session = _running(session_id)
        if session["state"] not in _SHOWN:
            _tell_rest(session, expected=shown is not None)
            return
        if session["state"] == "unreachable" and session["host"] != this_host():
            raise Unreachable(session=short, action="attached to", reason=session["reason"], host=session["host"])
        terminal = service.call("terminal", target=session_id)
        check_reachable(terminal, "attach")
        if shown is not None:
            note(f"The agent of {short} ended and runs again.")
        shown = terminal["runner_id"]
        code = _run(terminal["attach_read_only" if read_only else "attach"])
        if pane_lives(terminal):
            if code != 0:
                raise StratavoreError(reason=f"tmux could not show the session {short} here (exit code {code})")
            note(f"Detached; the session goes on. Attach again: stratavore attach {short}")
            return
        wait_once(session_id, (*AT_REST, "recovering", "starting", "queued"), END_SECONDS)


def check_reachable(terminal: dict[str, Any], command: str) -> None:
    """Check that a session's terminal is on this machine.

    Raises:
        StratavoreError: it is on another one.
    """
    host, here = terminal["host"], this_host()
    if host != here:
        short = text.short(terminal["session"]["session_id"])
        raise InvalidInput(
            reason=f"The session {short} runs on {host}, and this is {here}; "
            f"use: ssh -t {host} stratavore {command} {short}"
        )


def this_host() -> str:
    """This machine's name, as its daemon calls it."""
    try:
        return str(json.loads(service.home.daemon_file.read_text())["host"])
    except (OSError, ValueError, KeyError, TypeError):
        from stratavore.config.reading import read_settings  # pydantic: more than half of a command's time

        return read_settings().host


def pane_lives(terminal: dict[str, Any]) -> bool:
    """Whether the runner's program runs in its terminal."""
    return ask_tmux(terminal, "display-message", "-p", "#{pane_dead}") == "0\n"


def ask_tmux(terminal: dict[str, Any], *words: str) -> str | None:
    """The answer of the runner's tmux server about its pane; None if it gives none."""
    attach: list[str] = terminal["attach"]
    server = attach[: attach.index(_TMUX_COMMAND)]
    command, *rest = words
    try:
        answer = subprocess.run(
            [*server, command, "-t", f"{attach[-1]}:", *rest], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.decode(errors="replace") if answer.returncode == 0 else None


def _running(session_id: str) -> Session:
    """The session when it runs, or when it will not run by itself."""
    with Progress() as progress:
        return wait_for(
            session_id,
            (*_SHOWN, *HELD, *AT_REST),
            seconds=START_SECONDS,
            progress=progress,
            doing="waiting for it to run",
            forgiven=in_line,
        )


def _tell_rest(session: Session, *, expected: bool) -> None:
    """Say that nothing runs any more; that it never did is an error.

    Raises:
        WrongState: there was nothing to show from the beginning.
    """
    short = text.short(session["session_id"])
    again = f"stratavore resume {short}"
    because = f": {text.one_line(session['reason']).rstrip('.')}" if session["reason"] else ""
    if not expected:
        hint = f"Past it: {again} --god" if session["state"] in HELD else f"Run it again with: {again}"
        raise WrongState(session=short, state=session["state"] + because, action="attached to", hint=hint)
    if session["state"] in HELD:
        note(f"The session {short} is {session['state']}{because}. It goes on by itself; past it: {again} --god")
        return
    state = {"ended": "has ended", "paused": "is paused", "parked": "is parked"}[session["state"]]
    note(f"The session {short} {state}{because}. Run it again: {again}")


def _run(command: list[str]) -> int:
    """Give the terminal to tmux until it ends, and have it back as it was; returns the exit code."""
    before = termios.tcgetattr(sys.stdin)
    try:
        code = subprocess.run(command, cwd=Path("/"), check=False).returncode
    except FileNotFoundError as error:
        raise ServerMissing(server="tmux", reason=str(error), hint=INSTALL) from error
    if termios.tcgetattr(sys.stdin) != before:  # tmux's server, which would have put it back, was killed
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(_AS_BEFORE)
        sys.stdout.flush()
    return code
