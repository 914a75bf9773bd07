"""What was used, as files."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from stratavore.exports import COLUMNS, ExportFormat, kept, read, rendered, write_whole
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


@pytest.mark.parametrize("form", ExportFormat)
def test_what_is_read_is_written_as_it_was(form: ExportFormat) -> None:
    written = rendered(ROWS, form)
    assert rendered(read(written.encode(), form), form) == written
    for strange in (b"", b"\xff", b"\0", b"7", b"{}", b"[7]", b"a,b\n1,2\n"):
        assert read(strange, form) == []


def test_lines_of_a_version_that_had_fewer_columns_are_read() -> None:
    (row,) = read(b"day,session_id\n2026-01-30,s\n", ExportFormat.CSV)
    assert rendered([row], ExportFormat.CSV).splitlines()[1] == "2026-01-30,,s,,,,,,,,,"


def test_sessions_that_are_known_no_more_keep_their_lines_in_their_place() -> None:
    def line(project: str, session: str, model: str | None) -> dict[str, Any]:
        return dict.fromkeys(COLUMNS, "1") | {"project": project, "session_id": session, "model": model}

    known = [line("b", "2", None), line("b", "2", "x"), line("d", "1", "x")]
    written = [line("a", "9", "x"), line("b", "2", "former"), line("c", "3", "")]
    assert kept(written, known) == [written[0], *known[:2], written[2], known[2]]
    assert kept([], known) == known


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
