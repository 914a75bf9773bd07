"""``stratavore send``, ``pause``, ``resume``, ``restart`` and ``kill``."""

import sys
from collections.abc import Callable
from typing import Annotated
from uuid import uuid4

import typer

from cli import text
from cli.effects import Asked, await_each, tell_failures
from cli.god import GodOption
from cli.output import Format, FormatOption, pick, show_value
from cli.reply import print_reply
from cli.service import PATIENCE, service
from cli.sessions import KEYS, state_of
from cli.terminal import Progress, interactive, note
from cli.waiting import AT_REST, HELD, Session, as_it_is, for_host, in_line, wait_for
from stratavore.errors import InvalidInput
from stratavore.project_names import ALL

SEND_SECONDS = 65.0
"""A little longer than the daemon tries to type."""
EFFECT_SECONDS = 45.0
"""A command's effect takes the grace period of ten seconds at most, and what a busy machine adds."""

NOTED = "it is noted, and takes effect when a daemon is back"

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="A session, a runner, or a project: all its live sessions.")
]


def send(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A session, a runner or a project.")],
    words: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What to type; '-' takes standard input.")],
    answer: Annotated[
        bool, typer.Option("--answer", "-a", help="It answers the agent's question: a number, a label or words.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the agent's reply, and print it.")] = False,
) -> None:
    """Type text into a session, and Enter.

    Returns when the agent has taken it. While the agent asks something nothing is typed, since Enter would
    answer: --answer does that. With --wait the reply is printed; if the agent asks something instead, that is
    told and the exit code is 5; if an error ends its turn, 6. While no daemon runs
    the text is noted, and typed when one is back; --wait waits for that too.

    Examples:
        stratavore send site 'Now run the tests'
        stratavore send --wait site 'Which tests fail?' | tee report.txt
        stratavore send --answer site yes
        stratavore send 1a2b3c4d - < prompt.md
    """
    typed = sys.stdin.read().rstrip("\n") if words == ["-"] else " ".join(words)
    if not typed:
        raise InvalidInput(reason="There is no text to send")
    request_id = str(uuid4())
    sent = service.call(
        "send",
        away="the text is noted, and typed when a daemon is back",
        alone={"wait": False},
        patience=SEND_SECONDS,
        target=target,
        text=typed,
        request_id=request_id,
        answer=answer,
        wants_reply=wait,
    )
    if wait:
        print_reply(sent["session_id"], request_id)
    elif not service.without_daemon:
        typer.echo(f"Sent to {text.short(sent['session_id'])}.")


def pause(target: Target, form: FormatOption = Format.TABLE) -> None:
    """Put sessions away: no process, no slot, nothing lost.

    Examples:
        stratavore pause site
    """
    asked = _ask(target, "pause")
    _report(
        asked,
        "paused",
        lambda one, progress: _wait(one, ("paused", "parked", "ended"), "pausing", progress),
        form,
    )


def resume(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A session, a runner or a project.")],
    god: GodOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Run paused, parked or ended sessions again, each with its conversation.

    With --god past quotas, budgets and the limits of plans: sessions that wait for those start at once, too.

    Examples:
        stratavore resume 1a2b3c4d
        stratavore resume site
    """
    asked = _ask(target, "resume")
    _report(asked, "running", _wait_resumed, form)


def restart(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...|all",
            help="Sessions, runners, projects: all their running sessions, or all there are.",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """End the agents of running sessions and start them again, each with its conversation.

    The session keeps its slot, and it counts as no crash. An agent has ten seconds to end by itself. What rests is
    left alone: see 'stratavore resume'.

    Examples:
        stratavore restart 1a2b3c4d
        stratavore restart site board
        stratavore restart all --yes
    """
    if ALL in targets and not yes:
        _confirm_all("Restart", "Nothing was restarted.")
    asked = service.call(
        "restart",
        away=NOTED,
        patience=3 * PATIENCE,
        named=targets,
        request_id=str(uuid4()),
        **service.as_god,
    )
    _report(asked, "running", _wait_restarted, form)


def kill(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET|all",
            help="A session, a runner, a project: all its live sessions, or all there are.",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", "-f", help="Ask nothing, and grant the agents no time.")] = False,
    god: GodOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """End sessions: their agents, and every process those started.

    An agent has ten seconds to end by itself. An ended session can be resumed.

    Examples:
        stratavore kill 1a2b3c4d
        stratavore kill all --force
    """
    if target == ALL and not force:
        _confirm_all("End", "Nothing was ended.")
    asked = _ask(target, "terminate", force=force)
    _report(asked, "ended", lambda one, progress: _wait(one, ("ended",), "ending", progress), form)


def end_here(*, force: bool) -> None:
    """End every live session of this host, and wait until they have ended."""
    asked = _ask(ALL, "terminate", force=force, here=True)
    _, failures = await_each(asked, lambda one, progress: _wait(one, ("ended",), "ending", progress))
    tell_failures(failures)


def _confirm_all(verb: str, refused: str) -> None:
    """Ask a person whether all sessions are meant, if there are several."""
    live = len(service.call("list_sessions")) if interactive() and not service.god else 0
    if live > 1 and not typer.confirm(f"{verb} {text.plural(live, 'session')}?"):
        note(refused)
        raise typer.Exit(1)


def _ask(target: str, action: str, *, force: bool = False, here: bool = False) -> list[Asked]:
    asked: list[Asked] = service.call(
        "command",
        away=NOTED,
        alone={"again": True},  # the daemon may have died over its answer
        patience=3 * PATIENCE,
        target=target,
        action=action,
        request_id=str(uuid4()),
        force=force,
        **({"here": here} if here else {}),
        **service.as_god,
    )
    return asked


def _report(asked: list[Asked], wished: str, effect: Callable[[Asked, Progress], Session], form: Format) -> None:
    """Wait for the effect on each session, and print what it is; without a daemon there is none to wait for."""
    happens = not service.without_daemon
    if happens:
        found, failures = await_each(asked, effect)
    else:
        found, failures = [now for one in asked if (now := as_it_is(one["session_id"]))], []
    _show(found, asked, wished, form, happens=happens)
    tell_failures(failures)


def _show(found: list[Session], asked: list[Asked], wished: str, form: Format, *, happens: bool) -> None:
    if form is not Format.TABLE:
        show_value([pick(one, KEYS) for one in found], form)
        return
    if not asked:
        note("No session is live.")
    for one in found if happens else ():
        if one["state"] == "unreachable":
            note(f"The host {one['host']} is away: the session is {wished} as soon as it is back.")
        because = f": {text.one_line(one['reason'])}" if one["reason"] and one["state"] != wished else ""
        typer.echo(f"{text.short(one['session_id'])}  {state_of(one)}{because}")


def _wait(asked: Asked, states: tuple[str, ...], doing: str, progress: Progress) -> Session:
    return wait_for(
        asked["session_id"], (*states, "unreachable"), seconds=EFFECT_SECONDS, progress=progress, doing=doing
    )


def _wait_restarted(asked: Asked, progress: Progress) -> Session:
    return wait_for(
        asked["session_id"],
        ("running",),
        seconds=EFFECT_SECONDS,
        progress=progress,
        doing="restarting",
        generation=asked["generation"] + 1,
        enough=lambda session: session["state"] in AT_REST,
    )


def _wait_resumed(asked: Asked, progress: Progress) -> Session:
    def enough(session: Session) -> bool:
        """It is in the line, or ran and is over already."""
        return (
            (in_line(session) and not service.god)
            or (session["state"] in HELD and not service.god)
            or for_host(session)
            or (session["state"] in AT_REST and session["generation"] > asked["generation"])
        )

    return wait_for(
        asked["session_id"], ("running",), seconds=EFFECT_SECONDS, progress=progress, doing="resuming", enough=enough
    )
