"""What the commands that launch, now or later, let one say of how an agent is launched."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import typer

from stratavore.launch_options import LaunchOptions, check_failover, combine, existing_directory, existing_file
from stratavore.quotas import find_quota, parse_value

ProgramArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="-- PROGRAM...",
        help="What runs; by default the project's. For an agent other than command: further words for it.",
    ),
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Which agent; by default the project's.")
]
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
MemoryLimitOption = Annotated[
    str | None, typer.Option("--max-memory", metavar="MB", help="The most memory that it may have; see 'quotas'.")
]
TokensLimitOption = Annotated[
    str | None, typer.Option("--max-tokens", metavar="N", help="The most tokens that it may use a day; see 'quotas'.")
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
    """What is launched, what its environment has besides that of this shell, and limits of its own."""

    options: LaunchOptions
    environment: dict[str, str]
    limits: Mapping[str, int] = MappingProxyType({})


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


def own_limits(memory: str | None, tokens: str | None) -> dict[str, int]:
    """What was typed as limits of a new session.

    Raises:
        InvalidInput: it is no number of the unit, or out of range.
    """
    typed = {"max-memory": memory, "max-tokens": tokens}
    parsed = {name: parse_value(find_quota(name), value) for name, value in typed.items() if value is not None}
    return {name: value for name, value in parsed.items() if value is not None}


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
