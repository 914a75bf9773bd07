"""``stratavore events``."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli import text
from cli.commands import Entry, Noun
from cli.output import Column, Format, FormatOption, Row, pick, show, show_value
from cli.service import service
from cli.terminal import note

KEYS = ("id", "type", "session_id", "project", "sequence", "time", "data")
REVIVED_KEYS = ("revived",)
EVERYTHING = "#"

EVENTS = Noun(
    """Show what happened, or what happens now; send again what was refused.

    A PATTERN is made of words between dots; '*' stands for one word, '#' for any number of them, as in
    RabbitMQ. It is compared with an event's type and project together, runner.started.site for instance.

    Examples:
        stratavore events list --project site
        stratavore events subscribe 'session.#'
    """,
    {
        "list": Entry("cli.events:list_events", "Show the latest events, oldest first."),
        "subscribe": Entry("cli.events:subscribe", "Show events as they happen."),
        "revive": Entry("cli.events:revive", "Send again what RabbitMQ refused."),
    },
)


def list_events(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="Only keys like it, 'runner.*.site' or 'session.#' say."),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Of this project only.")
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", metavar="N", help="At most so many."),
    ] = 100,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the latest events, oldest first.

    Examples:
        stratavore events list
        stratavore events list 'runner.failed.#' --limit 10
    """
    found = service.call("list_events", project=project, pattern=pattern, limit=limit)
    show(found, form, KEYS, _columns(found), empty="No events.")


def subscribe(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Only keys like it; by default all.")] = EVERYTHING,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show events as they happen, until Ctrl-C.

    One line for each, in JSON too; in YAML a document. They come from RabbitMQ, after they were recorded.

    Examples:
        stratavore events subscribe
        stratavore events subscribe 'runner.*.site' --format json
    """
    events = service.stream("subscribe", pattern=pattern)
    if sys.stdout.isatty():
        note("Waiting for events; Ctrl-C ends it.")
    for cloud_event in events:
        event = from_cloud_event(cloud_event)
        if form is Format.JSON:
            line = json.dumps(pick(event, KEYS), ensure_ascii=False)
        elif form is Format.YAML:
            import yaml

            line = "---\n" + yaml.safe_dump(pick(event, KEYS), sort_keys=False, allow_unicode=True).rstrip("\n")
        else:
            session = text.short(event["session_id"] or "-")
            words = (text.clock(event["time"]), event["type"], event["project"], session, _details(event))
            line = "  ".join(words)
        typer.echo(line.rstrip())
        sys.stdout.flush()


def revive(form: FormatOption = Format.TABLE) -> None:
    """Send again what RabbitMQ refused.

    Such events are kept, with an alert, and 'stratavore health' counts them. Mend first what refuses them, a queue
    that is full, say. Those who listen get them after what was sent meanwhile.

    Examples:
        stratavore events revive
    """
    found = service.call("revive_events", away="they are sent by the next one that starts")
    if form is not Format.TABLE:
        show_value(pick(found, REVIVED_KEYS), form)
        return
    count = found["revived"]
    verb = "is" if count == 1 else "are"
    typer.echo(f"{text.plural(count, 'event')} {verb} sent again." if count else "No event was refused.")


def from_cloud_event(cloud_event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as lists show it, from the envelope in which it travels."""
    return {
        "id": cloud_event["id"],
        "type": cloud_event["type"],
        "session_id": cloud_event.get("subject"),
        "project": cloud_event.get("project", ""),
        "sequence": int(cloud_event.get("sequence", 0)),
        "time": cloud_event["time"],
        "data": cloud_event.get("data") or {},
    }


def _details(event: Row) -> str:
    """The data in short: ``exit_code=1 reason="killed"``."""
    parts = []
    for name, value in event["data"].items():
        if value not in (None, "", [], {}):
            plain = isinstance(value, str) and value.isprintable() and " " not in value
            parts.append(f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}")
    return text.one_line(" ".join(parts))


def _columns(rows: list[Row]) -> list[Column]:
    short = text.short_ids(row["session_id"] for row in rows if row["session_id"])
    return [
        Column("TIME", lambda row: text.clock(row["time"])),
        Column("TYPE", lambda row: row["type"], cut=True),
        Column("PROJECT", lambda row: row["project"], cut=True, drop=1),
        Column("SESSION", lambda row: short.get(row["session_id"] or "", "")),
        Column("NO", lambda row: row["sequence"], right=True, drop=3),
        Column("DETAILS", _details, cut=True, drop=2),
    ]
