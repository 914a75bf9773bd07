"""``stratavore sessions show``."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import terminal, text
from cli.output import Column, Format, FormatOption, pick, show_value, table
from cli.runner import RUN_KEYS, last_lines
from cli.service import service
from cli.sessions import KEYS as SESSION_KEYS
from cli.sessions import state_of
from cli.story import COLUMNS as STORY_COLUMNS
from cli.story import KEYS as STORY_KEYS
from cli.story import story

USAGE_KEYS = (
    *("model", "replies", "input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens"),
    *("cost_usd", "unpriced_tokens"),
)
TRANSCRIPT_KEYS = ("agent_session_id", "subagent", "name", "path", "bytes")
KEYS = (
    *(*SESSION_KEYS, "host", "bound_to", "failover", "reply", "last_lines"),
    *("story", "runners", "usage", "transcripts"),
)
_MOST_ROWS = 40
"""Of a long story, or of many runners, those that a table shows."""
_LONGEST_WORDS = 500


def show_session(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A session, a runner or a project.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the whole story of a session.

    What happened when and why, how long each runner lived and each recovery took, what it used, what it asks or said
    last, and where its conversations are.

    Examples:
        stratavore sessions show site
        stratavore sessions show 1a2b3c4d --format json | jq .usage
    """
    found = _found(target)
    if form is not Format.TABLE:
        show_value(
            {
                **pick(found, KEYS),
                "story": [pick(one, STORY_KEYS) for one in found["story"]],
                "runners": [pick(one, RUN_KEYS) for one in found["runners"]],
                "usage": [pick(one, USAGE_KEYS) for one in found["usage"]],
                "transcripts": [pick(one, TRANSCRIPT_KEYS) for one in found["transcripts"]],
            },
            form,
        )
        return
    typer.echo("\n".join(_lines(found, terminal.width(), colour=terminal.colours())))


def _found(target: str) -> dict[str, Any]:
    session = service.call("find_session", target=target)
    of = {"session_id": session["session_id"]}
    runners = service.call("session_runners", **of)
    last = runners[-1] if runners else {"reply": None, "last_lines": None}
    return {
        **session,
        "reply": last["reply"],
        "last_lines": last["last_lines"],
        "runners": runners,
        "story": story(service.call("session_story", **of)),
        "usage": service.call("session_usage", **of),
        "transcripts": service.call("list_transcripts", **of),
    }


def _lines(found: dict[str, Any], width: int | None, *, colour: bool) -> Iterator[str]:
    activity = f", {found['activity']}" if found["state"] == "running" else ""
    where = f" on {found['host']}" if found["host"] else ""
    facts = {
        "Session": found["session_id"],
        "Project": found["project"],
        "Agent": text.one_line(f"{found['agent']} {text.command_line(found['argv'])}"),
        "State": f"{state_of(found)}{where}{activity}",
        "Runs on": f"{found['bound_to']} only" if found["bound_to"] else "",
        "Because": text.one_line(found["reason"]),
        "Failover": found["failover"] if found["failover"] != "wait" else "",
        "Begun": text.clock(found["created_at"]),
        "Ended": text.clock(found["ended_at"]) if found["ended_at"] else "",
        "Tokens": text.amount(found["tokens_used"]) if found["tokens_used"] else "",
        "Cost": text.dollars(found["cost_usd"], found["unpriced_tokens"]),
        "Asks": text.one_line(found["question"])[:_LONGEST_WORDS],
        "Said": text.one_line(found["reply"])[:_LONGEST_WORDS],
    }
    if found["agent_session_id"] != found["session_id"]:
        facts["Known to its agent as"] = found["agent_session_id"]
    for name, value in facts.items():
        if value:
            yield f"{name}: {value}"
    yield from last_lines(found)
    for rows, columns in (
        (found["story"], STORY_COLUMNS),
        (found["runners"], _RUNNERS),
        (found["usage"], _USAGE),
        (found["transcripts"], _TRANSCRIPTS),
    ):
        if rows:
            yield ""
            yield from table(rows[-_MOST_ROWS:], columns, width, colour=colour)
        if len(rows) > _MOST_ROWS:
            yield f"{len(rows) - _MOST_ROWS} earlier ones are left out; see all with --format json"


_RUNNERS = [
    Column("RUNNER", lambda row: row["generation"], right=True),
    Column("STATUS", lambda row: row["status"], state=True),
    Column("HOST", lambda row: row["host"], drop=3, cut=True),
    Column("BEGUN", lambda row: text.clock(row["started_at"]) if row["started_at"] else "", drop=1),
    Column("TOKENS", lambda row: text.amount(row["tokens_used"]), right=True, drop=2),
    Column("COST", lambda row: text.dollars(row["cost_usd"], row["unpriced_tokens"]), right=True, drop=2),
    Column("ENDED", lambda row: text.clock(row["ended_at"]) if row["ended_at"] else "", drop=4),
]
_USAGE = [
    Column("MODEL", lambda row: row["model"] or "?", cut=True),
    Column("REPLIES", lambda row: row["replies"], right=True),
    Column("INPUT", lambda row: text.amount(row["input_tokens"]), right=True),
    Column("OUTPUT", lambda row: text.amount(row["output_tokens"]), right=True),
    Column("CACHED", lambda row: text.amount(row["cache_creation_tokens"]), right=True, drop=2),
    Column("FROM CACHE", lambda row: text.amount(row["cache_read_tokens"]), right=True, drop=2),
    Column("COST", lambda row: text.dollars(row["cost_usd"], row["unpriced_tokens"]), right=True),
]
_TRANSCRIPTS = [
    Column("SIZE", lambda row: text.amount(row["bytes"]), right=True),
    Column("OF", lambda row: "another agent" if row["subagent"] else "the session"),
    Column("TRANSCRIPT", lambda row: row["path"]),  # the last one: whole, to be copied, also where it wraps
]
