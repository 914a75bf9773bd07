"""``stratavore launch``; and what every start of a session has in common."""

import time
from typing import Annotated, Any, NoReturn
from uuid import uuid4

import typer

from cli import text
from cli.environments import environment_kept
from cli.god import GodOption
from cli.options import (
    AgentOption,
    Chosen,
    DirectoriesOption,
    FailoverOption,
    HostOption,
    McpOption,
    MemoryLimitOption,
    ModelOption,
    ModeOption,
    NoQueueOption,
    ProgramArgument,
    TokensLimitOption,
    choose,
    flags,
    of_project,
    own_limits,
)
from cli.output import Format, LaunchFormat, pick, show_value
from cli.projects import Project, check_startable, find_project
from cli.service import PATIENCE, service
from cli.sessions import KEYS, state_of
from cli.terminal import Progress, interactive
from cli.waiting import (
    AT_REST,
    HELD,
    SETTLE_SECONDS,
    START_SECONDS,
    STARTED,
    Session,
    as_it_is,
    for_host,
    in_line,
    wait_for,
)
from stratavore.errors import AgentEndedAtOnce, InvalidInput, NoFreeSlot
from stratavore.launch_options import LaunchOptions, check_prompt
from stratavore.quotas import NO_SLOT

MOST = 1000
QUEUED = "it is queued, and starts when a daemon is back"


def launch(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Where.")],
    argv: ProgramArgument = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="What the agent is told first.")
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="TEXT",
            help="Ask without a terminal, print the answer and end as the agent ends; '-' takes standard input.",
        ),
    ] = None,
    agent: AgentOption = None,
    model: ModelOption = None,
    permission_mode: ModeOption = None,
    add_dir: DirectoriesOption = None,
    mcp_config: McpOption = None,
    host: HostOption = None,
    failover: FailoverOption = None,
    max_memory: MemoryLimitOption = None,
    max_tokens: TokensLimitOption = None,
    count: Annotated[
        int,
        typer.Option("--count", "-n", metavar="N", help="How many; more than one are detached."),
    ] = 1,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Return when it runs, or waits in line, instead of attaching."),
    ] = False,
    god: GodOption = False,
    no_queue: NoQueueOption = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return when the launch is accepted.")] = False,
    form: Annotated[
        LaunchFormat,
        typer.Option("--format", metavar="FORMAT", help="table, json or yaml; with --print jsonl too."),
    ] = LaunchFormat.TABLE,
) -> None:
    """Launch new sessions in a project, and attach.

    A session that finds no free slot waits in line for one; Ctrl-C leaves it there. With --no-queue it is refused
    then, and of several those that find none. Attached, leave it with Ctrl-b d: it goes on. Without a terminal, or for
    --format json or yaml, it is detached. With --host it runs on that host only, and waits for it while it is away or
    draining; there it has the environment of the daemon.

    With --print the agent has no terminal: it is asked one thing, its answer is printed as it comes, and its exit code
    is that of the command. The session survives what any other survives; Ctrl-C ends it. With --detach it is left
    to itself: see its answer with 'logs'. For --format json the result is printed at the end, with the session's id,
    the exit code and the tokens; for jsonl each line as the agent writes it.

    With --max-memory and --max-tokens each session has limits of its own from its first moment; 'quotas set' changes
    them later.

    Flags come before the file .stratavore.yaml in the project's directory, and that before the project.

    Examples:
        stratavore launch site
        stratavore launch site --detach -- npm run dev
        stratavore launch site --host build-2 --detach
        stratavore launch site --count 4 --prompt 'Fix one failing test' --max-tokens 500000
        stratavore launch site --print 'Which tests are slow?' --permission-mode plan
        git diff | stratavore launch site --print - --format json | jq -r .result
    """
    if not 1 <= count <= MOST:
        raise InvalidInput(reason=f"--count takes a number from 1 to {MOST}, not {count}")
    question = None if ask is None else _asked(ask, prompt, count)
    check_prompt(prompt if question is None else question)
    if question is None and form is LaunchFormat.JSONL:
        raise InvalidInput(reason="--format jsonl is for answers: use it with --print")
    limits = own_limits(max_memory, max_tokens)
    found = find_project(project)
    typed = flags(agent, argv, model, permission_mode, add_dir, mcp_config, host, failover)
    chosen = choose(typed, found["path"], of_project(found))._replace(limits=limits)
    check_startable(found["path"], chosen.options, chosen.environment)
    ids = [str(uuid4()) for _ in range(count)]
    if question is not None and not (detach or no_wait):
        _answer(found, ids, chosen, question, form, no_queue=no_queue)
    words = prompt if question is None else question
    ask_for(found, ids, chosen, words, headless=question is not None, no_queue=no_queue)
    _report_launched(found, ids, chosen, Format(form.value), detached=detach or question is not None, no_wait=no_wait)


def _report_launched(
    found: Project, ids: list[str], chosen: Chosen, form: Format, *, detached: bool, no_wait: bool
) -> None:
    """Attach to what was launched, or print what it is."""
    if no_wait or service.without_daemon:
        report([_unseen(found, one, chosen.options) for one in ids], form)
    elif detached or len(ids) > 1 or form is not Format.TABLE or not interactive():
        with Progress() as progress:
            sessions = [bring_up(one, progress, line=False) for one in ids]
        now = after_a_moment(sessions)
        report(now, form)
        tell_ends(sessions, now)
    else:
        start_and_attach(ids[0])


def _asked(ask: str, prompt: str | None, count: int) -> str:
    from cli.headless import asked

    return asked(ask, prompt, count)


def _answer(
    found: Project, ids: list[str], chosen: Chosen, question: str, form: LaunchFormat, *, no_queue: bool
) -> NoReturn:
    """Launch a session without a terminal, print its answer and end as its agent ends."""
    from cli.answers import Answers
    from cli.headless import answer_and_exit, end_in_order
    from stratavore.agents.registry import adapter_for

    adapter = adapter_for(chosen.options.agent or found["agent"])
    end_in_order()

    def ask() -> None:
        ask_for(found, ids, chosen, question, headless=True, no_queue=no_queue)

    answer_and_exit(ids[0], ask, Answers(adapter, form))


def ask_for(
    project: Project,
    ids: list[str],
    chosen: Chosen,
    prompt: str | None,
    *,
    headless: bool = False,
    no_queue: bool = False,
) -> None:
    """Ask for new sessions; when that is refused nothing of them is left."""
    with environment_kept([service.home.session_environment(one) for one in ids], chosen.environment):
        service.call(
            "launch",
            away=QUEUED if len(ids) == 1 else "they are queued, and start when a daemon is back",
            patience=PATIENCE + len(ids) / 5,
            project=project["name"],
            session_ids=ids,
            prompt=prompt,
            options=chosen.options.as_json(),
            headless=headless,
            no_queue=no_queue,
            **({"limits": dict(chosen.limits)} if chosen.limits else {}),
            **service.as_god,
        )


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
        if line and in_line(session) and not service.god and session["position"] not in told:
            told.add(session["position"])
            progress.say(f"The session {short} is queued, position {session['position']}. Ctrl-C leaves it there.")
        if line and for_host(session) and 0 not in told:
            told.add(0)
            progress.say(f"The session {short} is queued: {session['reason']}. Ctrl-C leaves it there.")
        # Who goes past the line is in it for a moment at most.
        return (in_line(session) and not service.god) or for_host(session)

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
    return [as_it_is(one["session_id"], _FAILED, max(0.0, deadline - time.monotonic())) or one for one in sessions]


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
        because = f": {row['reason']}" if for_host(row) or row["state"] in HELD else ""
        typer.echo(f"{text.short(row['session_id'])}  {state_of(row)}{because}")
    if any(row["state"] not in (*AT_REST, *HELD) for row in rows):
        which = text.short(rows[0]["session_id"]) if len(rows) == 1 else "SESSION"
        typer.echo(f"Attach: stratavore attach {which}")


_FAILED = ("recovering", "parked", "ended")


def _tell_end(session: Session) -> None:
    short = text.short(session["session_id"])
    if session["state"] == "ended" and (session["reason"] or "").startswith(NO_SLOT):
        raise NoFreeSlot(session=short, reason=session["reason"])
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


def _unseen(project: Project, session_id: str, options: LaunchOptions) -> Session:
    """A session that was asked for, and that nobody has taken up yet."""
    known = {"session_id": session_id, "agent_session_id": session_id, "project": project["name"]}
    empty: Session = dict.fromkeys(KEYS)
    return (
        empty
        | known
        | {
            "agent": options.agent,
            "state": "queued",
            "activity": "unknown",
            "generation": 0,
            "tokens_used": 0,
        }
    )
