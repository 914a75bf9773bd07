"""What was used, as files."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from stratavore.exports import COLUMNS, ExportFormat, rendered, write_whole
from stratavore.models.views import DaySpentView

ROWS: list[dict[str, Any]] = [
    dict.fromkeys(COLUMNS, 1) | {"day": "2026-01-30", "project": "site", "model": 'a,"b"', "cost_usd": "0.0000015"},
    dict.fromkeys(COLUMNS, 2) | {"day": "2026-01-31", "project": "site", "model": None, "cost_usd": None},
]


def test_columns_are_those_of_the_figures() -> None:
    assert tuple(DaySpentView.model_fields) == COLUMNS


def test_csv_has_a_header_and_exact_costs() -> None:
    written = rendered([row | {"more": 1} for row in ROWS], ExportFormat.CSV)
    assert written.splitlines()[0] == ",".join(COLUMNS)
    assert "\r" not in written
    found = list(csv.DictReader(io.StringIO(written)))
    assert [(row["model"], row["cost_usd"]) for row in found] == [('a,"b"', "0.0000015"), ("", "")]
    assert rendered([], ExportFormat.CSV) == ",".join(COLUMNS) + "\n"


def test_json_has_the_same() -> None:
    assert json.loads(rendered([row | {"more": 1} for row in ROWS], ExportFormat.JSON)) == ROWS
    assert json.loads(rendered([], ExportFormat.JSON)) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    link.symlink_to(real)
    for text in ("first", "2"):
        write_whole(link, text, by="me")
        assert (real.read_text(), link.is_symlink()) == (text, True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.csv", "real.csv"]
    (tmp_path / ".real.csv.me.new").write_text("of a try that died, and longer")
    write_whole(real, "3", by="me")
    assert real.read_text() == "3"
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path, "no file", by="me")


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "told", by="me")
    assert os.read(reader, 100) == b"told"
    os.close(reader)
    assert pipe.is_fifo()
