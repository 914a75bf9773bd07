"""What was used, for other programs: CSV or JSON, a line a day, session and model. The standard library only.

The columns are only ever added to, at the end. The same figures are the same bytes.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

COLUMNS = (
    *("day", "project", "session_id", "model", "replies", "input_tokens", "output_tokens", "cache_creation_tokens"),
    *("cache_read_tokens", "tokens_used", "cost_usd", "unpriced_tokens"),
)

Row = Mapping[str, Any]


class ExportFormat(StrEnum):
    """How it is written."""

    CSV = "csv"
    JSON = "json"


def rendered(rows: Iterable[Row], form: ExportFormat) -> str:
    """The rows as a file holds them; what is not known is null, in CSV empty."""
    picked = [{name: row[name] for name in COLUMNS} for row in rows]
    if form is ExportFormat.JSON:
        return json.dumps(picked, indent=1, ensure_ascii=False) + "\n"
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(picked)
    return written.getvalue()


def read(content: bytes, form: ExportFormat) -> list[dict[str, Any]]:
    """The rows of a file as :func:`rendered` takes them; none of one that it did not write."""
    try:
        text = content.decode()
        found = json.loads(text) if form is ExportFormat.JSON else list(csv.DictReader(io.StringIO(text, newline="")))
    except (ValueError, csv.Error):
        return []
    rows = found if isinstance(found, list) else []
    return [dict.fromkeys(COLUMNS) | row for row in rows if isinstance(row, dict) and row.get("session_id")]


def kept(written: Iterable[Row], known: Sequence[Row]) -> list[Row]:
    """What is known now, and what was written of sessions that are known no more: it was spent all the same."""
    sessions = {row["session_id"] for row in known}
    gone = [row for row in written if row["session_id"] not in sessions]
    return sorted([*gone, *known], key=_place)


def _place(row: Row) -> tuple[str, str, str]:
    return str(row["project"]), str(row["session_id"]), row["model"] or ""


def write_whole(path: Path, text: str, *, by: str) -> None:
    """Replace a file: after any death, power loss too, it is the old or the new one.

    Args:
        path: which; a link is written through, and what is no file (a pipe, a device) as it is.
        text: what it is to hold.
        by: a word that nobody else who writes the same file uses.

    Raises:
        OSError: it cannot be written.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    temporary = path.with_name(f".{path.name}.{by}.new")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
