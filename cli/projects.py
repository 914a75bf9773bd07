"""``stratavore new`` and ``stratavore projects``; and finding the project that a command names."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.options import DirectoriesOption, FailoverOption, HostOption, McpOption, ModelOption, ModeOption, choose, flags
from cli.output import Column, Format, FormatOption, pick, show, show_value
from cli.service import UNTOLD, service
from stratavore.directories import check_directory
from stratavore.errors import LostDirectory, ProgramNotFound, UnknownProject
from stratavore.launch_options import LaunchOptions
from stratavore.near_names import did_you_mean
from stratavore.project_names import RESERVED, check_project_name

KEYS = (
    *("name", "path", "agent", "argv", "model", "permission_mode", "directories", "mcp_config"),
    *("host", "failover", "created_at", "live_sessions", "running"),
)
PROJECTS = Noun(
    """List projects; show or delete one.

    A project is a directory with a name, and with what its sessions are launched with.

    Examples:
        stratavore projects
        stratavore projects show site
        stratavore projects delete site
    """,
    {
        "list": Entry("cli.projects:projects", "List projects; what is done if nothing else is said."),
        "show": Entry("cli.project:show_project", "Show all that is known of one."),
        "delete": Entry("cli.project:delete_project", "Delete one in which nothing lives."),
    },
    default="list",
)
COMMAND_AGENT = "command"
"""The agent that is any program; its ``argv`` begins with it."""

Project = dict[str, Any]


def new(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its name.")],
    argv: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- PROGRAM...",
            help="What its sessions run; by default your shell. For another agent: further words for it.",
        ),
    ] = None,
    path: Annotated[
        Path | None, typer.Option("--path", metavar="DIR", help="Its directory; by default this one.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="AGENT", help="What runs its sessions: claude, or command for any program."),
    ] = None,
    model: ModelOption = None,
    permission_mode: ModeOption = None,
    add_dir: DirectoriesOption = None,
    mcp_config: McpOption = None,
    host: HostOption = None,
    failover: FailoverOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Create a project for a directory.

    A name has up to 64 letters, digits, '.', '_' and '-', and is no command of stratavore. What a file
    .stratavore.yaml in the directory says holds where nothing else is said here.

    Examples:
        stratavore new site --agent claude
        stratavore new site --path ~/src/site --agent claude --model opus --permission-mode plan
        stratavore new board --path ~/src/board -- python3 -i
        stratavore new films --agent claude --host build-2
    """
    check_project_name(project)
    directory = (path or Path()).expanduser().absolute()
    directory = Path(os.path.normpath(directory))  # a link in it is kept: that is how its owner calls it
    check_directory(directory)
    shell = LaunchOptions(agent=COMMAND_AGENT, argv=(os.environ.get("SHELL") or "/bin/sh",))
    typed = flags(agent, argv, model, permission_mode, add_dir, mcp_config, host, failover)
    options, environment, _ = choose(typed, str(directory), shell)
    check_startable(str(directory), options, environment)
    made = service.call(
        "create_project",
        away="the project is created all the same",
        name=project,
        path=str(directory),
        **options.as_json(),
    )
    if form is not Format.TABLE:
        show_value(pick(made, KEYS), form)
        return
    runs = text.command_line(made["argv"]) if made["agent"] == COMMAND_AGENT else made["agent"]
    typer.echo(f"Created project {project} for {directory}, running {runs}. Start a session: stratavore {project}")


def projects(form: FormatOption = Format.TABLE) -> None:
    """List projects.

    Examples:
        stratavore projects
        stratavore projects --format yaml
    """
    found = service.call("list_projects")
    show(found, form, KEYS, _COLUMNS, empty="No projects. Create one with: stratavore new NAME --path DIR")


def find_project(name: str, *, also: Sequence[str] = ()) -> Project:
    """The project of that name.

    Args:
        name: what was typed.
        also: commands that may have been meant.

    Raises:
        UnknownProject: there is none; names that are near are told.
        InvalidName: there can be none.
    """
    known: list[Project] = service.call("list_projects", away=UNTOLD)
    for project in known:
        if project["name"] == name:
            return project
    if name not in RESERVED:
        check_project_name(name)
    near = did_you_mean(name, [*also, *(project["name"] for project in known)])
    no_command = " and no such command (see: stratavore --help)" if also else ""
    raise UnknownProject(name=name, near=near or no_command)


def check_startable(directory: str, options: LaunchOptions, environment: Mapping[str, str]) -> None:
    """Check what only this shell knows: that the directory is there, and the program on its PATH.

    Of one that is to run on a host that is named, that host's daemon knows it.

    Args:
        directory: where it will run.
        options: what is launched.
        environment: what it gets besides that of this shell.

    Raises:
        LostDirectory: it does not exist.
        ClosedDirectory: this user may not enter it.
        ProgramNotFound: it does not exist, or may not be executed.
        InvalidInput: the agent cannot be launched so.
    """
    if options.host is not None:
        return
    agent, argv = options.agent or COMMAND_AGENT, options.argv or ()
    check_directory(directory, LostDirectory)
    of_agents = (options.model, options.permission_mode, options.directories, options.mcp_config)
    if agent != COMMAND_AGENT or any(of_agents):
        _check_agent(agent, directory, options, environment)
    if agent == COMMAND_AGENT and argv:
        from shutil import which

        # A name with a slash is taken from the project's directory, where it will run; one without from PATH.
        name = os.path.join(directory, argv[0]) if "/" in argv[0] else argv[0]  # noqa: PTH118
        if not which(name, path=environment.get("PATH")):
            raise ProgramNotFound(program=argv[0])


def _check_agent(agent: str, directory: str, options: LaunchOptions, environment: Mapping[str, str]) -> None:
    from stratavore.agents.registry import adapter_for  # pydantic: more than half of a command's time
    from stratavore.models.session import LaunchSpec

    values = {name: value for name, value in vars(options).items() if value is not None}
    spec = LaunchSpec.model_validate({"argv": (), **values, "agent": agent, "cwd": directory})
    adapter_for(agent).check(spec, {**os.environ, **environment})


_COLUMNS = [
    Column("PROJECT", lambda row: row["name"], cut=True),
    Column("AGENT", lambda row: row["agent"], drop=2),
    Column("LIVE", lambda row: row["live_sessions"], right=True),
    Column("RUNNING", lambda row: row["running"], right=True, drop=1),
    Column("DIRECTORY", lambda row: row["path"], cut=True),
    Column("PROGRAM", lambda row: text.command_line(row["argv"]), cut=True, drop=3),
]
