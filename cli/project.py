"""``stratavore projects show`` and ``delete``."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import quotas, terminal, text
from cli.output import Format, FormatOption, pick, show_value, table
from cli.projects import KEYS as PROJECT_KEYS
from cli.projects import Project
from cli.service import service
from cli.terminal import interactive, note
from stratavore.errors import NobodyToAsk

KEYS = (*PROJECT_KEYS, "sessions", "tokens_used", "cost_usd", "unpriced_tokens", "limits")
DELETED_KEYS = ("name", "deleted")

Name = Annotated[str, typer.Argument(metavar="PROJECT", help="Which.")]


def show_project(project: Name, form: FormatOption = Format.TABLE) -> None:
    """Show all that is known of a project: what it launches, its sessions, what they used, its limits.

    Examples:
        stratavore projects show site
        stratavore projects show site --format json | jq .sessions
    """
    found = service.call("show_project", project=project)
    limits = service.call("show_quotas", project=project)
    if form is not Format.TABLE:
        of_programs = found | {"limits": [pick(one, quotas.KEYS) for one in limits]}
        show_value(pick(of_programs, KEYS), form)
        return
    lines = [*_facts(found), "", *table(limits, quotas.COLUMNS, terminal.width(), colour=terminal.colours())]
    typer.echo("\n".join(lines))


def delete_project(
    project: Name,
    with_history: Annotated[
        bool, typer.Option("--with-history", help="Its ended sessions too: conversations and what they used.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Delete a project in which nothing lives.

    Its schedules go with it. Its directory stays as it is, and so do the record of events and the files that agents
    keep themselves. While there are ended sessions it is refused: --with-history deletes those too, for ever, with
    their conversations, what they used and what is kept of them on this machine.

    Examples:
        stratavore projects delete site
        stratavore projects delete site --with-history --yes
    """
    found = service.call("show_project", project=project)
    ended = sum(found["sessions"].values())
    what = f"delete the project {project}"
    if with_history and ended:
        what += f" and its {text.plural(ended, 'session')} with their conversations, for ever"
    if not (
        yes or service.god or found["live_sessions"] or (ended and not with_history)
    ):  # those are refused in any case
        if not interactive():
            raise NobodyToAsk(what=what)
        if not typer.confirm(f"{what[0].upper()}{what[1:]}? Its directory {found['path']} stays."):
            note("Nothing was deleted.")
            raise typer.Exit(1)
    deleted = service.call(
        "delete_project",
        away="the project is deleted all the same",
        project=project,
        project_id=found["project_id"],
        with_history=with_history,
        **service.as_god,
    )
    if form is not Format.TABLE:
        show_value(pick(deleted, DELETED_KEYS), form)
    elif deleted["deleted"]:
        typer.echo(f"Deleted the project {project}. Its directory {found['path']} is as it was.")
    else:
        typer.echo(f"The project {project} is deleted already.")


def _facts(found: Project) -> Iterator[str]:
    states: dict[str, Any] = found["sessions"]
    facts = {
        "Project": found["name"],
        "Directory": found["path"],
        "Agent": text.one_line(f"{found['agent']} {text.command_line(found['argv'])}"),
        "Model": found["model"],
        "Permission mode": found["permission_mode"],
        "More directories": ", ".join(found["directories"]),
        "MCP servers": ", ".join(found["mcp_config"]),
        "Host": f"{found['host']} only" if found["host"] else "",
        "Failover": found["failover"] if found["failover"] != "wait" else "",
        "Created": text.clock(found["created_at"]),
        "Sessions": ", ".join(f"{states[state]} {state}" for state in sorted(states, key=_ended_last)) or "none yet",
        "Tokens": text.amount(found["tokens_used"]) if found["tokens_used"] else "",
        "Cost": text.dollars(found["cost_usd"], found["unpriced_tokens"]),
    }
    for name, value in facts.items():
        if value:
            yield f"{name}: {text.one_line(value)}"


def _ended_last(state: str) -> tuple[bool, str]:
    return state == "ended", state
