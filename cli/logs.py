"""``stratavore logs``."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import text
from cli.attach import ask_tmux, check_reachable, this_host
from cli.output import LaunchFormat
from cli.plain import Plain, drawn, plain
from cli.service import service
from cli.terminal import note
from cli.waiting import wait_once
from stratavore.naming import generation_of

LOOK_SECONDS = 0.1
STATE_SECONDS = 1.0
_PIECE = 256 * 1024


def logs(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A session, a runner or a project.")],
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on as it writes, from runner to runner; Ctrl-C ends it."),
    ] = False,
) -> None:
    """Show what a session's agent wrote.

    Of a program that draws its screen, its screen as it is now, or was at the end.

    Examples:
        stratavore logs site
        stratavore logs 1a2b3c4d --follow
        stratavore logs site | grep -i error
    """
    terminal = service.call("terminal", target=target)
    check_reachable(terminal, "logs")
    if terminal["session"]["headless"]:
        _show_answer(terminal, follow=follow)
    elif follow:
        _follow(terminal)
    else:
        _write(_now(terminal).rstrip("\n") + "\n")


def _show_answer(terminal: dict[str, Any], *, follow: bool) -> None:
    """What an agent without a terminal answered, and, if that is nothing, what it says on the terminal nobody sees."""
    from cli.answers import Answers
    from cli.headless import follow_answer
    from stratavore.agents.registry import adapter_for

    session = terminal["session"]
    answers = Answers(adapter_for(session["agent"]), LaunchFormat.TABLE)
    generation = generation_of(terminal["runner_id"])
    if follow:
        follow_answer(session["session_id"], answers, generation)
        note(f"The session {text.short(session['session_id'])} has ended.")
    elif answers.read(Path(terminal["output"]), 0):
        answers.end_runner()
    else:
        _write(_now(terminal).rstrip("\n") + "\n")


def _now(terminal: dict[str, Any]) -> str:
    """What a person would see by scrolling up; of an ended one, from its files."""
    shown = ask_tmux(terminal, "capture-pane", "-p", "-S", "-") if terminal["live"] else None
    if shown is not None:
        return shown
    log = Path(terminal["log"])
    written = b"".join(_read(path) for path in (log.with_name(f"{log.name}.1"), log))
    screen = _read(Path(terminal["screen"]))
    if screen and (drawn(written) or not written):
        return screen.decode("utf-8", "replace")
    return plain(written)


def _follow(terminal: dict[str, Any]) -> None:
    """Write what is written to the log, and to the next runner's, until the session has ended.

    Raises:
        StratavoreError: it has gone to another machine.
    """
    session_id = terminal["session"]["session_id"]
    while True:
        generation = generation_of(terminal["runner_id"])
        if _follow_runner(Path(terminal["log"]), session_id, generation) == generation:
            note(f"The session {text.short(session_id)} has ended.")
            return
        # Not the current one: while nobody looked there may have been several.
        terminal = service.call("terminal", target=f"{session_id}.{generation + 1}")
        if terminal["session"]["host"] != this_host():  # a runner between them that was elsewhere is passed over
            check_reachable(terminal, "logs")


def _follow_runner(log: Path, session_id: str, generation: int) -> int:
    """Write one runner's log as it grows, until there is a later one or the session ended.

    Returns:
        The session's generation.
    """
    position = 0
    clean = None if sys.stdout.isatty() else Plain()
    looked = 0.0
    while True:
        position = _write_new(log, position, clean)
        if time.monotonic() - looked >= STATE_SECONDS:
            found = wait_once(session_id, (), 0)
            if found is None or found["state"] == "ended" or found["generation"] != generation:
                _write_new(log, position, clean)
                return found["generation"] if found else generation
            looked = time.monotonic()
        time.sleep(LOOK_SECONDS)


def _write_new(log: Path, position: int, clean: Plain | None) -> int:
    """Write what the log holds from ``position`` on; returns where it ends."""
    try:
        with log.open("rb") as file:
            if position > file.seek(0, os.SEEK_END):  # it was emptied, having grown large
                position = 0
            file.seek(position)
            while piece := file.read(_PIECE):
                position += len(piece)
                _write(clean.feed(piece) if clean else piece)
    except FileNotFoundError:
        pass  # the runner has not written yet
    return position


def _write(written: str | bytes) -> None:
    if isinstance(written, str):
        sys.stdout.write(written)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(written)
    sys.stdout.flush()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
