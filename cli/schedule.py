"""``stratavore schedule``."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.environments import environment_kept
from cli.options import (
    AgentOption,
    DirectoriesOption,
    FailoverOption,
    HostOption,
    McpOption,
    MemoryLimitOption,
    ModelOption,
    ModeOption,
    ProgramArgument,
    TokensLimitOption,
    choose,
    flags,
    of_project,
    own_limits,
)
from cli.output import Column, Format, FormatOption, Row, pick, show, show_value
from cli.projects import check_startable, find_project
from cli.service import service
from stratavore.cron import Cron
from stratavore.errors import InvalidInput
from stratavore.launch_options import LaunchOptions, check_prompt
from stratavore.models.states import Overlap

KEYS = (
    *("schedule_id", "name", "project", "cron", "timezone", "overlap", "host", "interactive", "paused", "created_at"),
    *("next_at", "last_at", "last_session_id", "last_state", "last_failure", "buffered"),
    *("skipped", "missed"),
)
DELETED_KEYS = ("name", "deleted")

SCHEDULE = Noun(
    """Launch sessions at set times.

    A schedule launches a session in a project, as 'stratavore launch --print' does, each time that it is due: without a
    terminal, told one thing, and ended when its agent has answered. It waits in line, and survives whatever other
    sessions survive. Temporal keeps schedules, so they are also seen in its Web UI.

    Examples:
        stratavore schedule create site --cron '0 9 * * 1' --prompt 'Update what is old' --max-tokens 2000000
        stratavore schedule list
        stratavore schedule pause site
        stratavore schedule run site
    """,
    {
        "create": Entry("cli.schedule:create", "Create one."),
        "list": Entry("cli.schedule:list_schedules", "List them; what is done if nothing else is said."),
        "pause": Entry("cli.schedule:pause", "Let one rest."),
        "resume": Entry("cli.schedule:resume", "Let one go on."),
        "run": Entry("cli.schedule:run", "Launch now what one launches."),
        "delete": Entry("cli.schedule:delete", "Delete one; what it launched goes on."),
    },
    default="list",
)
Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Which.")]


def create(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Where.")],
    argv: ProgramArgument = None,
    cron: Annotated[
        str | None,
        typer.Option(
            "--cron",
            metavar="TIMES",
            help="When: minute, hour, day of the month, month, day of the week; @daily, ...",
        ),
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="What the agent is told.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What it is called; by default as its project.")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Whose clock it follows: Europe/Berlin, UTC, ...")
    ] = "UTC",
    overlap: Annotated[
        Overlap,
        typer.Option(
            "--overlap",
            metavar="WORD",
            help="If the last session has not ended: skip this time, buffer one, allow both, or replace it.",
        ),
    ] = Overlap.SKIP,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="With a terminal: the session stays until somebody ends it.")
    ] = False,
    agent: AgentOption = None,
    model: ModelOption = None,
    permission_mode: ModeOption = None,
    add_dir: DirectoriesOption = None,
    mcp_config: McpOption = None,
    host: HostOption = None,
    failover: FailoverOption = None,
    max_memory: MemoryLimitOption = None,
    max_tokens: TokensLimitOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Create a schedule.

    The daemon of the host that it is created on, or of --host, prepares each launch, and the session gets the
    environment of this shell. While that host is away a launch waits for it. A time that was missed because Temporal
    was down is made up for once, unless the next one has come, or a day has passed. Nobody is there to answer
    questions: give the agent the rights that it needs with --permission-mode. With --max-memory and --max-tokens each
    session has limits of its own from its first moment.

    Flags come before the file .stratavore.yaml in the project's directory as it is now, and that before the project as
    it is at each launch.

    Examples:
        stratavore schedule create site --cron '0 9 * * 1' --prompt 'Update what is old' --max-tokens 2000000
        stratavore schedule create site --name nightly --cron '30 2 * * *' --timezone Europe/Berlin --prompt 'Test it'
        stratavore schedule create board --cron @hourly --overlap replace --interactive -- ./refresh.sh
    """
    if cron is None:
        raise InvalidInput(reason="Say when with --cron, as in --cron '0 9 * * 1', Mondays at 9:00")
    Cron.parse(cron)
    check_prompt(prompt)
    limits = own_limits(max_memory, max_tokens)
    more: dict[str, Any] = {"limits": limits} if limits else {}  # a daemon from before knows no such word
    found = find_project(project)
    typed = flags(agent, argv, model, permission_mode, add_dir, mcp_config, host, failover)
    now = choose(typed, found["path"], of_project(found))
    check_startable(found["path"], now.options, now.environment)
    said = choose(typed, found["path"], LaunchOptions())
    id_ = str(uuid4())
    with environment_kept([service.home.schedule_environment(id_)], said.environment):
        made = service.call(
            "create_schedule",
            away="it launches sessions when a daemon is back",
            project=project,
            schedule_id=id_,
            cron=cron,
            prompt=prompt,
            name=name,
            timezone=timezone,
            overlap=overlap,
            options=said.options.as_json(),
            interactive=interactive,
            **more,
        )
    _show([made], form)


def list_schedules(
    project: Annotated[str | None, typer.Argument(metavar="PROJECT", help="Of this project; by default all.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List schedules.

    Times are by the clock here. LAST is the session that was launched last.

    Examples:
        stratavore schedule list
        stratavore schedule list site
        stratavore schedule list --format json | jq -r '.[] | select(.last_failure) | .name'
    """
    _show(service.call("list_schedules", project=project), form)


def pause(name: Name, form: FormatOption = Format.TABLE) -> None:
    """Let a schedule rest; what it launched goes on.

    Examples:
        stratavore schedule pause site
    """
    _show([service.call("pause_schedule", name=name)], form)


def resume(name: Name, form: FormatOption = Format.TABLE) -> None:
    """Let a schedule go on. Times that passed meanwhile are not made up for.

    Examples:
        stratavore schedule resume site
    """
    _show([service.call("pause_schedule", name=name, paused=False)], form)


def run(name: Name, form: FormatOption = Format.TABLE) -> None:
    """Launch now what a schedule launches, also while it rests.

    Examples:
        stratavore schedule run site
    """
    away = "the session is launched when a daemon is back"
    _show([service.call("run_schedule", away=away, patience=15.0, name=name, request_id=str(uuid4()))], form)


def delete(name: Name, form: FormatOption = Format.TABLE) -> None:
    """Delete a schedule. Sessions that it launched go on; a launch that still waits for its host is called off.

    Examples:
        stratavore schedule delete site
    """
    found = service.call("show_schedule", name=name)
    deleted = service.call("delete_schedule", name=name, schedule_id=found["schedule_id"])
    if form is not Format.TABLE:
        show_value(pick(deleted, DELETED_KEYS), form)
    elif deleted["deleted"]:
        typer.echo(f"Deleted the schedule {name}.")
    else:
        typer.echo(f"The schedule {name} is deleted already.")


def _show(rows: list[dict[str, Any]], form: Format) -> None:
    show(rows, form, KEYS, COLUMNS, empty="No schedules. Create one with: stratavore schedule create")


def _when(row: Row) -> str:
    try:
        return Cron.parse(row["cron"]).words()
    except InvalidInput:  # of another version
        return str(row["cron"])


def _next(row: Row) -> str:
    if row["paused"]:
        return "paused"
    return text.clock(row["next_at"]) if row["next_at"] else "never"


def _last(row: Row) -> str:
    if row["last_session_id"] is None:
        return ""
    if row["last_failure"]:
        return f"failed: {row['last_failure']}"
    state = row["last_state"] or f"waits for {row['host']}"
    more = ", the next waits for its end" if row["buffered"] else ""
    return f"{text.short(row['last_session_id'])} {state} ({text.age(row['last_at'])} ago){more}"


COLUMNS = [
    Column("SCHEDULE", lambda row: row["name"], cut=True),
    Column("PROJECT", lambda row: row["project"], cut=True),
    Column("WHEN", _when, cut=True),
    Column("ZONE", lambda row: row["timezone"], drop=2),
    Column("NEXT", _next),
    Column("OVERLAP", lambda row: row["overlap"], drop=3),
    Column("LAST", _last, cut=True, drop=1),
]
