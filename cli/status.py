"""``stratavore status``."""

from typing import Annotated, Any

import typer

from cli import terminal, text
from cli.bars import lines as bars_of
from cli.limit_bars import of_budget, of_quota
from cli.output import Format, FormatOption, pick, show_value, table
from cli.service import RECORDED, service
from cli.sessions import KEYS as SESSION_KEYS
from cli.sessions import columns
from cli.widths import cut, wrap
from stratavore.errors import InvalidInput, StratavoreError

KEYS = (
    "projects",
    "sessions",
    "activities",
    "waiting_in_line",
    "events_undelivered",
    "live",
    "health",
    "limits",
    "budgets",
)
SECONDS = 2.0

Status = dict[str, Any]


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again every 2 s; q or Ctrl-C ends it.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what is going on: how many sessions do what, what is used of limits and left, and each live session.

    Examples:
        stratavore status
        stratavore status --watch
        stratavore status --format json
    """
    if form is not Format.TABLE:
        from cli import budget, quotas  # what they need is needed for their keys only

        if watch:
            raise InvalidInput(reason="--watch is for people; for programs there is: stratavore events subscribe")
        found = service.call("status")
        lists = {"live": SESSION_KEYS, "limits": quotas.KEYS, "budgets": budget.KEYS}
        inner = {name: [pick(one, keys) for one in found[name]] for name, keys in lists.items()}
        show_value(pick(found, KEYS) | inner, form)
    elif watch:
        from cli.watch import every  # terminals, keys: only when watched

        every(SECONDS, _frame)
    else:
        typer.echo("\n".join(lines(service.call("status"), terminal.width(), colour=terminal.colours())))


def lines(found: Status, width: int | None, *, colour: bool, brief: bool = False) -> list[str]:
    """The status for a person; ``brief``: each sentence is one line, shortened if need be."""
    live = found["live"]
    head = [_counts(found)]
    waiting, undelivered = found["waiting_in_line"], found["events_undelivered"]
    if waiting:
        head.append(f"{text.plural(waiting, 'session')} in line for a slot; see: stratavore quotas show")
    if undelivered:
        head.append(f"{text.plural(undelivered, 'event')} not delivered yet; see: stratavore daemon status")
    head += [text.one_line(one) for one in found["health"]]
    if brief and width is not None:
        head = [cut(sentence, width) for sentence in head]
    head = [line for sentence in head for line in wrap(sentence, width, indent="  ")]
    bars = [*map(of_quota, found["limits"]), *map(of_budget, found["budgets"])]
    if bars:
        head += ["", *bars_of(bars, width, colour=colour)]
    return [*head, "", *table(live, columns(live), width, colour=colour)] if live else head


def _counts(found: Status) -> str:
    """``3 projects, 5 sessions: 4 running (2 busy, 1 waiting, 1 idle), 1 paused``."""
    total = sum(found["sessions"].values())
    parts = []
    for state, count in found["sessions"].items():
        doing = ", ".join(f"{number} {activity}" for activity, number in found["activities"].items() if number)
        parts.append(f"{count} {state}{f' ({doing})' if state == 'running' and doing else ''}")
    summary = f"{text.plural(found['projects'], 'project')}, {text.plural(total, 'live session')}"
    return f"{summary}: {', '.join(parts)}" if parts else summary


def _frame(width: int | None, height: int | None) -> list[str]:
    """What is watched, now; a failure is shown and does not end it."""
    try:
        found = lines(service.call("status"), width, colour=terminal.colours(), brief=True)
    except StratavoreError as error:
        found = wrap(f"Error: {error}", width)
    else:
        if service.without_daemon:
            found = [*wrap(f"{service.absence}; {RECORDED}.", width), *found]
    if height is not None and len(found) > height:
        found = [*found[: height - 1], f"… and {len(found) - height + 1} more"]
    return found
