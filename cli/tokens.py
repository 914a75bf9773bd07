"""``stratavore tokens``."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.output import Column, Format, FormatOption, Row, show
from cli.service import service

KEYS = (
    *("key", "project", "replies", "input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens"),
    *("tokens_used", "cost_usd", "unpriced_tokens"),
)
_SUMS = KEYS[2:]


class By(StrEnum):
    """What tokens are counted by."""

    PROJECT = "project"
    SESSION = "session"
    MODEL = "model"
    DAY = "day"


TOKENS = Noun(
    """Show what was used, by project, session, model or day; or export it.

    Each reply of an agent is counted once, with the tokens that it recorded. Days are those of UTC.

    Examples:
        stratavore tokens --since today
        stratavore tokens --by day --since 7d
        stratavore tokens export used.csv --since 30d
    """,
    {
        "show": Entry("cli.tokens:tokens", "Show what was used; what is done if nothing else is said."),
        "export": Entry("cli.tokens_export:export", "Write what was used, a line a day, session and model."),
    },
    default="show",
)


def tokens(
    by: Annotated[By, typer.Option("--by", metavar="BY", help="project, session, model or day.")] = By.PROJECT,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="today, 24h, 7d, a date; by default ever since."),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Of this project only.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what was used, by project, session, model or day.

    Each reply of an agent is counted once, with the tokens that it recorded. Days are those of UTC.

    Examples:
        stratavore tokens --since today
        stratavore tokens --by day --since 7d
        stratavore tokens --by session --project site --format json
    """
    asked = None
    if since is not None:
        from cli.since import since as time_of

        asked = time_of(since)
    found = service.call("show_tokens", by=by, since=asked, project=project)
    rows = [*found, _total(found)] if form is Format.TABLE and len(found) > 1 else found
    show(rows, form, KEYS, _columns(by), empty="No tokens were counted.")


def _total(rows: list[Row]) -> dict[str, Any]:
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    sums = {key: sum(row[key] or 0 for row in rows) for key in _SUMS}
    return {"key": "together", "project": None, **sums, "cost_usd": sum(costs) if costs else None}


def _columns(by: By) -> list[Column]:
    return [
        Column(by.upper(), lambda row: row["key"] or "?", cut=by is not By.SESSION),
        Column("PROJECT", lambda row: row["project"], cut=True, drop=5),
        Column("REPLIES", lambda row: row["replies"], right=True, drop=4),
        Column("INPUT", lambda row: text.amount(row["input_tokens"]), right=True, drop=2),
        Column("OUTPUT", lambda row: text.amount(row["output_tokens"]), right=True, drop=2),
        Column("CACHED", lambda row: text.amount(row["cache_creation_tokens"]), right=True, drop=3),
        Column("FROM CACHE", lambda row: text.amount(row["cache_read_tokens"]), right=True, drop=3),
        Column("TOKENS", lambda row: text.amount(row["tokens_used"]), right=True),
        Column("COST", lambda row: text.dollars(row["cost_usd"], row["unpriced_tokens"]), right=True),
    ]
