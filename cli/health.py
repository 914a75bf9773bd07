"""``stratavore health``."""

from typing import Annotated, Any

import typer

from cli import terminal, text
from cli.output import Format, FormatOption, pick, show_value
from cli.service import UNTOLD, service
from cli.widths import wrap
from stratavore.errors import EXIT_FAILED, DaemonAway, DaemonSilent, ServerAway, StratavoreError

KEYS = ("healthy", "parts")
PART_KEYS = ("name", "state", "detail", "hint", "figures")
SECONDS = 15.0

_UNREACHED = {DaemonAway.code: "daemon", DaemonSilent.code: "daemon", ServerAway.code: "servers"}


def health(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Everything that was checked.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Check whether all is well; ends with 1 if not.

    Looks at the running system: the daemon and its workers, Temporal, Postgres and its clock, RabbitMQ and the events
    that wait for it, this host's lease, disk and programs. Warnings are told, and end with 0.

    Examples:
        stratavore health
        stratavore health --verbose
        stratavore health --format json | jq '.parts[] | select(.state != "ok")'
    """
    found = _look()
    if form is not Format.TABLE:
        show_value(pick(found, KEYS) | {"parts": [pick(one, PART_KEYS) for one in found["parts"]]}, form)
    else:
        typer.echo("\n".join(_lines(found, terminal.width(), verbose=verbose)))
    if not found["healthy"]:
        raise typer.Exit(EXIT_FAILED)


def _look() -> dict[str, Any]:
    """What is checked; that nobody can be asked is an answer too."""
    try:
        found: dict[str, Any] = service.call("health", away=UNTOLD, patience=SECONDS)
    except StratavoreError as error:
        if error.code not in _UNREACHED:
            raise
        check = {"name": _UNREACHED[error.code], "state": "problem", "detail": str(error), "hint": "", "figures": {}}
        return {"healthy": False, "parts": [check]}
    return found


def _lines(found: dict[str, Any], columns: int | None, *, verbose: bool) -> list[str]:
    """What is wrong; with ``verbose`` what is right too."""
    shown = [one for one in found["parts"] if verbose or one["state"] != "ok"]
    width = max((len(one["name"]) for one in shown), default=0)
    indent = " " * (7 + 2 + width + 2)
    lines = []
    for one in shown:
        before = f"{one['state']:<7}  {one['name']:<{width}}  "
        lines += wrap(text.one_line(one["detail"]), columns, before=before, indent=indent)
        if one["hint"]:
            lines += wrap(f"{text.one_line(one['hint'])}.", columns, before=indent, indent=indent)
    return [*lines, "healthy" if found["healthy"] else "not healthy"]
