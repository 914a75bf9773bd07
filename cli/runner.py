"""``stratavore runners show``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import text
from cli.output import Format, FormatOption, pick, show_value
from cli.runners import KEYS as RUNNER_KEYS
from cli.service import service

RUN_KEYS = (
    *(*RUNNER_KEYS, "cpu_percent", "ended_at"),
    *("exit_kind", "exit_code", "exit_reason", "last_lines", "reply"),
)
KEYS = (*RUN_KEYS, "directory", "log")
_LONGEST_WORDS = 500


def show_runner(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A runner; of a session or a project its current or last one."),
    ],
    form: FormatOption = Format.TABLE,
) -> None:
    """Show all that is known of a runner: its process, how it ended, what it used, where its files are.

    Examples:
        stratavore runners show site
        stratavore runners show 1a2b3c4d.2 --format json | jq -r .log
    """
    found = service.call("find_runner", target=target)
    log = Path(service.call("terminal", target=found["runner_id"])["log"])
    whole = found | {"directory": str(log.parent), "log": str(log)}
    if form is not Format.TABLE:
        show_value(pick(whole, KEYS), form)
        return
    typer.echo("\n".join(_lines(whole)))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    runs = found["ended_at"] is None
    facts = {
        "Runner": found["runner_id"],
        "Project": found["project"],
        "Agent": " ".join(filter(None, (found["agent"], found["model"]))),
        "Status": found["status"] + (f", {found['activity']}" if found["status"] == "running" else ""),
        "Host": found["host"],
        "Process": found["pid"] if runs else None,
        "Began": text.clock(found["started_at"]) if found["started_at"] else "",
        "Ended": "" if runs else text.clock(found["ended_at"]),
        "Because": _exit(found),
        "Memory": text.megabytes(found["memory_mb"]) if runs else "",
        "CPU": f"{found['cpu_percent']:.0f} %" if runs and found["cpu_percent"] is not None else "",
        "Tokens": text.amount(found["tokens_used"]) if found["tokens_used"] else "",
        "Cost": text.dollars(found["cost_usd"], found["unpriced_tokens"]),
        "Asks": text.one_line(found["question"])[:_LONGEST_WORDS],
        "Said": text.one_line(found["reply"])[:_LONGEST_WORDS],
        "Directory": found["directory"],
        "Log": found["log"],
    }
    for name, value in facts.items():
        if value:
            yield f"{name}: {text.one_line(value)}"
    yield from last_lines(found)


def last_lines(found: dict[str, Any]) -> Iterator[str]:
    """What an agent showed last, before it ended."""
    if found["last_lines"]:
        yield "Last lines:"
        yield from (f"  {text.one_line(line)}" for line in found["last_lines"].splitlines())


def _exit(found: dict[str, Any]) -> str:
    """``killed by signal 9 (crashed, exit code 137)``."""
    if found["exit_kind"] is None:
        return found["exit_reason"] or ""
    code = "" if found["exit_code"] is None else f", exit code {found['exit_code']}"
    return f"{found['exit_reason'] or 'it ended'} ({found['exit_kind']}{code})"
