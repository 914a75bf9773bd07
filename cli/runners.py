"""``stratavore runners``."""

from typing import Annotated

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.output import READABLE, Column, Format, FormatOption, Row, show
from cli.service import service

KEYS = (
    *("runner_id", "session_id", "generation", "project", "agent", "model", "host", "status", "activity"),
    *("pid", "started_at", "tokens_used", "cost_usd", "unpriced_tokens", "memory_mb", "question"),
)

RUNNERS = Noun(
    """List runners, the agents' processes, or show one.

    A runner is one run of an agent for a session; when it dies, the session gets the next one.

    Examples:
        stratavore runners
        stratavore runners --project site --all
        stratavore runners show 1a2b3c4d.2
    """,
    {
        "list": Entry("cli.runners:runners", "List runners; what is done if nothing else is said."),
        "show": Entry("cli.runner:show_runner", "Show all that is known of one."),
    },
    default="list",
)


def runners(
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Of this project only.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Ended ones too.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """List runners: the agents' processes.

    A runner is one run of an agent for a session; when it dies, the session gets the next one.

    Examples:
        stratavore runners
        stratavore runners --project site --format json
    """
    found = service.call("list_runners", project=project, all=everything)
    empty = "No runners." if everything else "No runners. See ended ones with: stratavore runners --all"
    show(found, form, KEYS, _columns(found), empty=empty)


def _columns(rows: list[Row]) -> list[Column]:
    short = text.short_ids(row["session_id"] for row in rows)
    return [
        Column("RUNNER", lambda row: f"{short[row['session_id']]}.{row['generation']}"),
        Column("PROJECT", lambda row: row["project"], cut=True),
        Column("STATUS", lambda row: row["status"], state=True),
        Column("ACTIVITY", lambda row: row["activity"] if row["status"] == "running" else "", state=True, drop=1),
        Column("AGENT", lambda row: row["agent"], drop=5),
        Column("MODEL", lambda row: row["model"], drop=6),
        Column("HOST", lambda row: row["host"], drop=7, cut=True),
        Column("PID", lambda row: row["pid"], right=True, drop=4),
        Column("AGE", lambda row: text.age(row["started_at"]), right=True, drop=2),
        Column("TOKENS", lambda row: text.amount(row["tokens_used"]), right=True, drop=3),
        Column("COST", lambda row: text.dollars(row["cost_usd"], row["unpriced_tokens"]), right=True, drop=3),
        Column("MEMORY", lambda row: text.megabytes(row["memory_mb"]), right=True, drop=2),
        Column("REASON", lambda row: row["question"] or row["exit_reason"], cut=True, drop=2, least=READABLE),
    ]
