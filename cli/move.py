"""``stratavore move``."""

import time
from typing import Annotated
from uuid import uuid4

import typer

from cli import text
from cli.control import NOTED
from cli.effects import Asked, await_each, tell_failures
from cli.output import Format, FormatOption, pick, show_value
from cli.service import PATIENCE, service
from cli.sessions import KEYS
from cli.terminal import Progress, note
from cli.waiting import AT_REST, Session, forgive
from stratavore.errors import InvalidInput, NotMoved, NotSeen, StratavoreError, TookTooLong

MOVE_SECONDS = 90.0
"""The host is asked for 10 s, the agent has 10 s to end, and the next one up to a minute to start."""
STEP = 1.0


def move(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET] [HOST]", help="A session, a runner or a project, and the host it moves to."),
    ] = None,
    leave: Annotated[str | None, typer.Option("--from", metavar="HOST", help="Only sessions of this host.")] = None,
    every: Annotated[bool, typer.Option("--all", help="With --from: all sessions that run there.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Let running sessions go on on another host, each with its conversation.

    The host is asked first whether it has the project's directory and the agent's program; if not, nothing ends.
    Then the agent has ten seconds to end by itself, and the next one starts there. Without HOST it is the least
    loaded of the others. Files do not move, and neither does the environment that the session was launched with:
    there it has that of the daemon.

    Examples:
        stratavore move 1a2b3c4d build-2
        stratavore move site
        stratavore move --from build-1 --all
        stratavore move --from build-1 --all build-2
    """
    target, host = _understand(words or [], leave=leave, every=every)
    asked = ask(target, host, leave)
    if not asked:
        note(f"No session runs on {leave}.")
    if service.without_daemon:
        return
    found, failures = await_all(asked)
    if form is not Format.TABLE:
        show_value([pick(one, KEYS) for one in found], form)
    else:
        tell(found)
    tell_failures(failures)


def ask(target: str | None, host: str | None, leave: str | None) -> list[Asked]:
    """Ask sessions to move."""
    asked: list[Asked] = service.call(
        "move",
        away=NOTED,
        patience=3 * PATIENCE,
        target=target,
        request_id=str(uuid4()),
        host=host,
        leave=leave,
        **service.as_god,
    )
    return asked


def await_all(asked: list[Asked]) -> tuple[list[Session], list[StratavoreError]]:
    """Wait for each that was asked: those that run elsewhere or rest, and why the others do not move."""
    return await_each(asked, _wait)


def tell(found: list[Session]) -> None:
    """Say where each is."""
    for one in found:
        typer.echo(f"{text.short(one['session_id'])}  {one['state']} on {one['host']}")


def _understand(words: list[str], *, leave: str | None, every: bool) -> tuple[str | None, str | None]:
    """The target and the host that were named."""
    if every and leave is None:
        raise InvalidInput(reason="--all needs --from HOST: the host that all sessions leave")
    longest = 1 if every else 2
    if len(words) > longest:
        raise InvalidInput(reason="Too many words: name a target and a host; with --all the host only")
    if every:
        return None, words[0] if words else None
    if not words:
        raise InvalidInput(reason="Say what moves: a session, a runner or a project, or --from HOST --all")
    return words[0], words[1] if len(words) > 1 else None


def _wait(asked: Asked, progress: Progress) -> Session:
    """The session when it runs elsewhere, or rests.

    Raises:
        NotMoved, RemoteError: it stays where it is.
        TookTooLong: it does not run yet.
        NotSeen: nobody could look at it by then.
    """
    deadline = time.monotonic() + MOVE_SECONDS
    short = text.short(asked["session_id"])
    if asked["refusal"]:
        raise NotMoved(session=short, reason=asked["refusal"])
    progress.show(f"{short}: moving to {asked['host']} …")
    while True:
        try:
            found: Session = service.call(
                "moved",
                away=NOTED,
                session_id=asked["session_id"],
                request_id=asked["request_id"],
                generation=asked["generation"],
                timeout_s=STEP,
                patience=PATIENCE + STEP,
            )
        except StratavoreError as error:
            forgive(error)
            if time.monotonic() >= deadline:
                raise NotSeen(session=short, doing="moving", reason=str(error)) from error
            time.sleep(STEP)
            continue
        if found["state"] in AT_REST:
            return found
        if found["state"] == "running" and found["generation"] > asked["generation"]:
            if found["host"] != asked["host"]:
                raise NotMoved(session=short, reason=f"{asked['host']} refused it; it goes on on {found['host']}")
            return found
        if time.monotonic() >= deadline:
            raise TookTooLong(session=short, state=found["state"], seconds=f"{MOVE_SECONDS:.0f}")
