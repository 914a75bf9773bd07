"""Lists as a table for people, as JSON or YAML for programs.

Tables are written here because importing rich takes as long as the whole command may (44 ms of 84, measured).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import typer

from cli import terminal
from cli.text import one_line
from cli.widths import cut, size

Row = Mapping[str, Any]

GAP = 2
NARROWEST = 8
"""Columns that a text is never cut below."""
READABLE = 20
"""Columns below which the beginning of a sentence tells nothing."""


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class LaunchFormat(StrEnum):
    """How results are printed; ``jsonl``: an answer, each line as the agent writes it."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    JSONL = "jsonl"


FormatOption = Annotated[Format, typer.Option("--format", metavar="FORMAT", help="table, json or yaml.")]


class Column(NamedTuple):
    """A column of a table."""

    title: str
    text: Callable[[Row], Any]
    right: bool = False
    cut: bool = False
    """May be shortened to what fits."""
    state: bool = False
    """Its words have colours."""
    drop: int = 0
    """Left out of a narrow terminal's table, those with the highest number first; 0: never."""
    least: int = NARROWEST
    """Columns that it is never cut below."""


_COLOURS = {
    "running": "32",
    "starting": "36",
    "recovering": "33",
    "queued": "33",
    "paused": "34",
    "limited": "33",
    "asking": "35",
    "parked": "31",
    "unreachable": "31",
    "failed": "31",
    "away": "31",
    "draining": "33",
    "up": "32",
    "missing": "31",
    "stopped": "31",
    "started": "32",
    "asks": "35;1",
    "ended": "2",
    "terminated": "2",
    "busy": "32",
    "waiting": "35;1",
    "idle": "2",
}


def show(rows: Sequence[Row], form: Format, keys: Sequence[str], columns: Sequence[Column], *, empty: str) -> None:
    """Print a list: ``keys`` of each row for programs, ``columns`` for people; ``empty`` if there is none."""
    if form is not Format.TABLE:
        show_value([pick(row, keys) for row in rows], form)
    elif rows:
        typer.echo("\n".join(table(rows, columns, terminal.width(), colour=terminal.colours())))
    else:
        terminal.note(empty)


def show_value(value: Any, form: Format) -> None:
    """Print a value for programs."""
    if form is Format.YAML:
        import yaml

        yaml.safe_dump(value, sys.stdout, sort_keys=False, allow_unicode=True)
    else:
        import json

        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def pick(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    """The documented keys of a row, in their order."""
    return {key: row[key] for key in keys}


def table(rows: Sequence[Row], columns: Sequence[Column], width: int | None, *, colour: bool) -> list[str]:
    """The lines of a table that is at most ``width`` columns wide."""
    cells = [[column.title, *(one_line(column.text(row)) for row in rows)] for column in columns]
    kept = [i for i, column in enumerate(columns) if not column.drop or any(cells[i][1:])]
    sizes = {i: max(map(size, cells[i])) for i in kept}
    if width is not None:
        _fit(kept, sizes, columns, width)
    lines = []
    for number in range(len(rows) + 1):
        parts = []
        for i in kept:
            text = cut(cells[i][number], sizes[i])
            padding = " " * (sizes[i] - size(text))
            if colour and number == 0:
                text = _coloured(text, "1")
            elif colour and columns[i].state:
                text = _coloured(text, _COLOURS.get(text.split(" ")[0]))
            parts.append(padding + text if columns[i].right else text + padding)
        lines.append((" " * GAP).join(parts).rstrip())
    return lines


def _fit(kept: list[int], sizes: dict[int, int], columns: Sequence[Column], width: int) -> None:
    """Leave columns out, then shorten texts, until the table fits."""

    def least(i: int) -> int:
        return min(sizes[i], columns[i].least) if columns[i].cut else sizes[i]

    while sum(map(least, kept)) + GAP * (len(kept) - 1) > width:
        optional = [i for i in kept if columns[i].drop]
        if not optional:
            break
        kept.remove(max(optional, key=lambda i: columns[i].drop))
    room = width - GAP * (len(kept) - 1)
    while sum(sizes[i] for i in kept) > room:
        flexible = [i for i in kept if columns[i].cut and sizes[i] > columns[i].least]
        if not flexible:
            break
        sizes[max(flexible, key=lambda i: sizes[i])] -= 1


def _coloured(text: str, code: str | None) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text
