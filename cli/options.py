"""What ``new``, ``launch`` and ``open`` let one say of how an agent is launched."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from stratavore.launch_options import LaunchOptions, check_failover, combine, existing_directory, existing_file

ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="The model, for agents that have one.")
]
ModeOption = Annotated[
    str | None,
    typer.Option("--permission-mode", metavar="MODE", help="What the agent may do unasked: default, plan, ..."),
]
DirectoriesOption = Annotated[
    list[str] | None,
    typer.Option("--add-dir", metavar="DIR", help="Another directory that the agent may work in; can be repeated."),
]
McpOption = Annotated[
    list[str] | None,
    typer.Option("--mcp-config", metavar="FILE", help="MCP servers for the agent; can be repeated."),
]
HostOption = Annotated[
    str | None,
    typer.Option("--host", metavar="HOST", help="The only host that it runs on, until it is moved; by default any."),
]
NoQueueOption = Annotated[
    bool, typer.Option("--no-queue", help="If no slot is free now, refuse it, instead of letting it wait in line.")
]
FailoverOption = Annotated[
    str | None,
    typer.Option(
        "--failover",
        metavar="WORD",
        help="When its host is lost: wait for it (the default), or go on on another one: auto.",
    ),
]


class Chosen(NamedTuple):
    """What is launched, and what its environment has besides that of this shell."""

    options: LaunchOptions
    environment: dict[str, str]


def flags(
    agent: str | None,
    argv: list[str] | None,
    model: str | None,
    permission_mode: str | None,
    directories: list[str] | None,
    mcp_config: list[str] | None,
    host: str | None,
    failover: str | None,
) -> LaunchOptions:
    """What was typed, with whole paths.

    Raises:
        InvalidInput: a directory or a file does not exist, or there is no such word.
    """
    check_failover(failover)
    here = Path.cwd()
    return LaunchOptions(
        agent=agent,
        argv=tuple(argv) if argv else None,
        model=model,
        permission_mode=permission_mode,
        directories=tuple(existing_directory(one, here) for one in directories) if directories else None,
        mcp_config=tuple(existing_file(one, here) for one in mcp_config) if mcp_config else None,
        host=host,
        failover=failover,
    )


def choose(typed: LaunchOptions, directory: str, project: LaunchOptions) -> Chosen:
    """What was typed, else what the project's file says, else what the project has.

    Args:
        typed: the flags.
        directory: of the project, where its file is.
        project: what there is without either.

    Raises:
        ProjectFileInvalid: the file cannot be understood.
        InvalidInput: what it refers to is not there.
    """
    if not (Path(directory) / ".stratavore.yaml").exists():
        return Chosen(combine(typed, project), {})
    from stratavore.project_file import read_project_file  # pydantic: more than half of a command's time

    file = read_project_file(Path(directory))
    return Chosen(combine(typed, file.options(), project), file.resolved_environment())


def of_project(project: dict[str, Any]) -> LaunchOptions:
    """What a project has."""
    names = ("agent", "argv", "model", "permission_mode", "directories", "mcp_config", "host", "failover")
    return LaunchOptions.of({name: project[name] for name in names})
