"""``stratavore tokens export``."""

import errno
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.service import service
from cli.since import since as time_of
from stratavore.errors import DiskFull, InvalidInput
from stratavore.exports import ExportFormat, rendered, write_whole

PATIENCE = 60.0
"""Years of figures take longer than a list."""


def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; by default standard output, as with '-'.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="The first day: today, 7d, a date; by default all.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="The last day, included; by default today.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Of this project only.")
    ] = None,
    form: Annotated[ExportFormat, typer.Option("--format", metavar="FORMAT", help="csv or json.")] = ExportFormat.CSV,
) -> None:
    """Write what was used: a line for each day (of UTC), session and model, in this order.

    Costs are exact decimals; of tokens whose price is not known the number is in unpriced_tokens. A file is replaced
    whole or not at all. The setting export.directory has a file written for each day by itself.

    Examples:
        stratavore tokens export > used.csv
        stratavore tokens export used.csv --since 2026-01-01 --until 2026-01-31
        stratavore tokens export --project site --format json | jq -r '.[].cost_usd'
    """
    first, last = _day(since), _day(until)
    if first and last and last < first:
        raise InvalidInput(reason=f"--until {last} is before --since {first}")
    rows = service.call("export_tokens", patience=PATIENCE, since=first, until=last, project=project)
    written = rendered(rows, form)
    if file is None or str(file) == "-":
        sys.stdout.write(written)
        return
    try:
        write_whole(file.expanduser(), written, by=str(os.getpid()))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=file) from error
        raise InvalidInput(reason=f"The file {file} cannot be written: {error.strerror}") from error


def _day(said: str | None) -> str | None:
    """The day, in UTC, of a time as people say it."""
    return None if said is None else datetime.fromisoformat(time_of(said)).astimezone(UTC).date().isoformat()
