"""``stratavore launch``; and what every start of a session has in common."""

import os
import time
from typing import Annotated, Any
from uuid import uuid4

import typer

from cli import text
from cli.output import Format, FormatOption, pick, show_value
from cli.projects import Project, check_startable, find_project
from cli.service import PATIENCE, service
from cli.sessions import KEYS, state_of
from cli.terminal import Progress, interactive
from cli.waiting import AT_REST, SETTLE_SECONDS, START_SECONDS, STARTED, Session, in_line, wait_for, wait_once
from stratavore.environment import write_environment
from stratavore.errors import AgentEndedAtOnce, InvalidInput, ServerAway, StratavoreError

MOST = 1000
QUEUED = "it is queued, and starts when a daemon is back"


def launch(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Where.")],
    argv: Annotated[
        list[str] | None, typer.Argument(metavar="-- PROGRAM...", help="What runs; by default the project's.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="What the agent is told first.")
    ] = None,
    count: Annotated[
        int,
        typer.Option("--count", "-n", metavar="N", help="How many; more than one are detached."),
    ] = 1,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Return when it runs, or waits in line, instead of attaching."),
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return when the launch is accepted.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Launch new sessions in a project, and attach.

    A session that finds no free slot waits in line for one; Ctrl-C leaves it there. Attached, leave it with
    Ctrl-b d: it goes on. Without a terminal, or for --format json or yaml, it is detached.

    Examples:
        stratavore launch site
        stratavore launch site --detach -- npm run dev
        stratavore launch site --count 4 --prompt 'Fix one failing test'
    """
    if not 1 <= count <= MOST:
        raise InvalidInput(reason=f"--count takes a number from 1 to {MOST}, not {count}")
    found = find_project(project)
    program = argv or found["argv"]
    check_startable(found["path"], found["agent"], program)
    ids = [str(uuid4()) for _ in range(count)]
    ask_for(found, ids, program, prompt)
    if no_wait or service.without_daemon:
        report([_unseen(found, one) for one in ids], form)
    elif detach or count > 1 or form is not Format.TABLE or not interactive():
        with Progress() as progress:
            sessions = [bring_up(one, progress, line=False) for one in ids]
        now = after_a_moment(sessions)
        report(now, form)
        tell_ends(sessions, now)
    else:
        start_and_attach(ids[0])


def ask_for(project: Project, ids: list[str], argv: list[str], prompt: str | None) -> None:
    """Ask for new sessions; when that is refused nothing of them is left."""
    keep_environment(ids)
    try:
        service.call(
            "launch",
            away=QUEUED if len(ids) == 1 else "they are queued, and start when a daemon is back",
            patience=PATIENCE + len(ids) / 5,
            project=project["name"],
            session_ids=ids,
            argv=argv or None,
            prompt=prompt,
        )
    except ServerAway:
        raise  # some may have been started before
    except StratavoreError as error:
        if error.code != ServerAway.code:
            forget_environment(ids)
        raise


def keep_environment(ids: list[str]) -> None:
    """Write this shell's environment down for sessions to run in."""
    service.home.create()
    for one in ids:
        write_environment(service.home.session_environment(one), os.environ)


def forget_environment(ids: list[str]) -> None:
    """Take it away again from sessions that there are not."""
    for one in ids:
        service.home.session_environment(one).unlink(missing_ok=True)


def start_and_attach(session_id: str, *, fresh: bool = True, rested: int | None = None) -> None:
    """Wait until a session runs, in the line too, and show it; a ``fresh`` one may die at once."""
    from cli.attach import show

    try:
        with Progress() as progress:
            session = bring_up(session_id, progress, line=True, rested=rested)
    except KeyboardInterrupt:
        short = text.short(session_id)
        typer.echo(
            f"\nThe session {short} stays as it is. Attach later: stratavore attach {short} (or end it: "
            f"stratavore kill {short})",
            err=True,
        )
        raise
    if fresh:
        settle(session)
    show(session_id)


def bring_up(session_id: str, progress: Progress, *, line: bool, rested: int | None = None) -> Session:
    """Wait until a session has started, for good or ill.

    Args:
        session_id: which session.
        progress: where to say what is waited for.
        line: wait through the line too, instead of returning once it is in it.
        rested: of a session that is resumed, the generation with which it came to rest: its rest with that one,
            and that it recovers with the next, is no end of the new start.
    """
    short = text.short(session_id)
    told: set[int] = set()

    def waits(session: Session) -> bool:
        if line and in_line(session) and session["position"] not in told:
            told.add(session["position"])
            progress.say(f"The session {short} is queued, position {session['position']}. Ctrl-C leaves it there.")
        return in_line(session)

    def enough(session: Session) -> bool:
        runs = session["generation"] - (rested or 0)
        over = rested is not None and (runs > 1 or (runs == 1 and session["state"] in AT_REST))
        return over or (not line and waits(session))

    return wait_for(
        session_id,
        STARTED if rested is None else [state for state in STARTED if state not in (*AT_REST, "recovering")],
        seconds=START_SECONDS,
        progress=progress,
        doing="starting",
        enough=enough,
        forgiven=waits if line else lambda _: False,
    )


def settle(session: Session) -> None:
    """Look once more after a moment, whether the program died at once.

    Raises:
        AgentEndedAtOnce: it did; says how, and what it wrote last.
    """
    tell_ends([session], after_a_moment([session]))


def after_a_moment(sessions: list[Session]) -> list[Session]:
    """The sessions as they are when programs that die at once have died."""
    deadline = time.monotonic() + SETTLE_SECONDS
    return [wait_once(one["session_id"], _FAILED, max(0.0, deadline - time.monotonic())) or one for one in sessions]


def tell_ends(before: list[Session], now: list[Session]) -> None:
    """Tell of programs that ended meanwhile.

    Raises:
        AgentEndedAtOnce: one failed; says how, and what it wrote last.
    """
    for was, session in zip(before, now, strict=True):
        if session["state"] in _FAILED or session["generation"] > was["generation"]:
            _tell_end(session)


def report(rows: list[Session], form: Format) -> None:
    """Print what was launched."""
    if form is not Format.TABLE:
        show_value([pick(row, KEYS) for row in rows], form)
        return
    for row in rows:
        typer.echo(f"{text.short(row['session_id'])}  {state_of(row)}")
    if any(row["state"] not in AT_REST for row in rows):
        which = text.short(rows[0]["session_id"]) if len(rows) == 1 else "SESSION"
        typer.echo(f"Attach: stratavore attach {which}")


_FAILED = ("recovering", "parked", "ended")


def _tell_end(session: Session) -> None:
    short = text.short(session["session_id"])
    runners = service.call("session_runners", session_id=session["session_id"])
    last: dict[str, Any] = next((one for one in reversed(runners) if one["ended_at"]), {})
    if session["state"] == "ended" and last.get("exit_code") == 0:
        typer.echo(f"The session {short} has ended by itself. Its output: stratavore logs {short}", err=True)
        return
    lines = [f"  {text.one_line(line)}" for line in (last.get("last_lines") or "").splitlines()]
    raise AgentEndedAtOnce(
        session=short,
        exit=last.get("exit_reason") or session["reason"] or "it said nothing of why",
        hint={
            "parked": f"Try it again with: stratavore resume {short}",
            "ended": f"All of its output: stratavore logs {short}",
        }.get(session["state"], f"It is started again; end it with: stratavore kill {short}"),
        lines="\n".join(["", *lines]) if lines else " none",
    )


def _unseen(project: Project, session_id: str) -> Session:
    """A session that was asked for, and that nobody has taken up yet."""
    known = {"session_id": session_id, "agent_session_id": session_id, "project": project["name"]}
    empty: Session = dict.fromkeys(KEYS)
    return (
        empty
        | known
        | {
            "agent": project["agent"],
            "state": "queued",
            "activity": "unknown",
            "generation": 0,
            "tokens_used": 0,
        }
    )
