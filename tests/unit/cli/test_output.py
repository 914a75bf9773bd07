import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli.output import NARROWEST, Column, Format, show, table
from cli.sessions import reason_of
from cli.widths import size

COLUMNS = [
    Column("ID", lambda row: row["id"]),
    Column("NAME", lambda row: row["name"], cut=True),
    Column("STATE", lambda row: row["state"], state=True),
    Column("SIZE", lambda row: row["size"], right=True, drop=1),
    Column("NOTE", lambda row: row["note"], cut=True, drop=2),
]
ROWS = [
    {"id": "1", "name": "site", "state": "running", "size": 12, "note": "all is well with this one"},
    {"id": "2", "name": "a-longer-name", "state": "parked", "size": 3, "note": None},
]


def test_a_table() -> None:
    assert table(ROWS, COLUMNS, None, colour=False) == [
        "ID  NAME           STATE    SIZE  NOTE",
        "1   site           running    12  all is well with this one",
        "2   a-longer-name  parked      3",
    ]


def test_a_narrow_table_cuts_texts() -> None:
    assert table(ROWS, COLUMNS, 50, colour=False) == [
        "ID  NAME           STATE    SIZE  NOTE",
        "1   site           running    12  all is well wit…",
        "2   a-longer-name  parked      3",
    ]


def test_a_narrower_table_leaves_columns_out() -> None:
    assert table(ROWS, COLUMNS, 30, colour=False) == [
        "ID  NAME         STATE    SIZE",
        "1   site         running    12",
        "2   a-longer-n…  parked      3",
    ]


def test_a_column_without_content_is_left_out() -> None:
    assert table([ROWS[1]], COLUMNS, None, colour=False)[0] == "ID  NAME           STATE   SIZE"


def test_states_have_colours_and_names_have_none() -> None:
    rows = [ROWS[0] | {"name": "running"}]
    line = table(rows, COLUMNS, None, colour=True)[1]
    assert line.count("\x1b[32mrunning\x1b[0m") == 1
    assert "1   running  " in line


def test_wide_letters_take_two_columns() -> None:
    lines = table([ROWS[0] | {"name": "日本語の長い名前です"}], COLUMNS[:3], 24, colour=False)
    assert size(lines[0]) == size(lines[1]) - 2
    assert all(size(line) <= 24 for line in lines)


@given(
    texts=st.lists(st.text(max_size=60), min_size=1, max_size=4),
    width=st.integers(2 + 2 * NARROWEST + 8, 200),
)
def test_a_table_fits(texts: list[str], width: int) -> None:
    rows = [{"id": "x", "name": one, "state": one[:6], "size": 1, "note": one} for one in texts]
    assert all(size(line) <= width for line in table(rows, COLUMNS, width, colour=False))


def test_programs_get_the_documented_keys_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Format.JSON, ("state", "id"), COLUMNS, empty="none")
    found = json.loads(capsys.readouterr().out)
    assert found == [{"state": "running", "id": "1"}, {"state": "parked", "id": "2"}]
    assert list(found[0]) == ["state", "id"]
    show(ROWS, Format.YAML, ("state", "id"), COLUMNS, empty="none")
    assert yaml.safe_load(capsys.readouterr().out) == found


def test_nothing_is_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    show([], Format.TABLE, (), COLUMNS, empty="No rows.")
    assert capsys.readouterr() == ("", "No rows.\n")
    show([], Format.JSON, (), COLUMNS, empty="No rows.")
    assert capsys.readouterr() == ("[]\n", "")


def test_a_session_that_recovers_says_for_how_long() -> None:
    since = (datetime.now(UTC) - timedelta(minutes=3, seconds=5)).isoformat()
    recovers = {"question": None, "reason": "the agent was killed", "state": "recovering", "since": since}
    assert reason_of(recovers) == "for 3m: the agent was killed"
    assert reason_of(recovers | {"reason": None}) == "for 3m"
    assert reason_of(recovers | {"state": "parked", "since": None}) == "the agent was killed"
