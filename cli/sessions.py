"""``stratavore sessions``; and how sessions look wherever they are listed."""

from collections.abc import Sequence
from typing import Annotated

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.output import READABLE, Column, Format, FormatOption, Row, show
from cli.service import service

KEYS = (
    *("session_id", "agent_session_id", "project", "agent", "state", "activity", "position", "generation"),
    *("created_at", "ended_at", "tokens_used", "cost_usd", "unpriced_tokens", "reason", "since", "question"),
)

SESSIONS = Noun(
    """List sessions, or show one.

    A session is one conversation with an agent; it lives until it is killed or its agent ends by itself.

    Examples:
        stratavore sessions
        stratavore sessions --all --project site
        stratavore sessions show 1a2b3c4d
    """,
    {
        "list": Entry("cli.sessions:sessions", "List sessions; what is done if nothing else is said."),
        "show": Entry("cli.session:show_session", "Show all that is known of one."),
    },
    default="list",
)


def sessions(
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Of this project only.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Ended ones too.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """List sessions.

    A session is one conversation with an agent; it lives until it is killed or its agent ends by itself.

    Examples:
        stratavore sessions
        stratavore sessions --all --project site
        stratavore sessions --format json | jq -r '.[] | select(.activity == "waiting") | .session_id'
    """
    found = service.call("list_sessions", project=project, all=everything)
    empty = "No sessions." if everything else "No live sessions. See ended ones with: stratavore sessions --all"
    show(found, form, KEYS, columns(found), empty=empty)


def columns(rows: Sequence[Row]) -> list[Column]:
    """A table of sessions."""
    short = text.short_ids(row["session_id"] for row in rows)
    return [
        Column("SESSION", lambda row: short[row["session_id"]]),
        Column("PROJECT", lambda row: row["project"], cut=True),
        Column("STATE", state_of, state=True),
        Column("ACTIVITY", lambda row: row["activity"] if row["state"] == "running" else "", state=True, drop=1),
        Column("AGENT", lambda row: row["agent"], drop=5),
        Column("AGE", lambda row: text.age(row["created_at"]), right=True, drop=2),
        Column("RUNS", lambda row: row["generation"], right=True, drop=4),
        Column("TOKENS", lambda row: text.amount(row["tokens_used"]), right=True, drop=3),
        Column("COST", lambda row: text.dollars(row["cost_usd"], row["unpriced_tokens"]), right=True, drop=3),
        Column("REASON", reason_of, cut=True, drop=2, least=READABLE),
    ]


def reason_of(session: Row) -> str | None:
    """Why a session is as it is; of one that waits for a person, what it asks; of one that recovers, for how long."""
    asked: str | None = session["question"] or session["reason"]
    if session["state"] == "recovering" and session["since"]:
        return f"for {text.age(session['since'])}" + (f": {asked}" if asked else "")
    return asked


def state_of(session: Row) -> str:
    """A session's state, with its place in the waiting line."""
    waits = session["state"] == "queued" and session["position"] is not None
    return f"queued #{session['position']}" if waits else str(session["state"])
