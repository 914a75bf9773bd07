import copy
from pathlib import Path

import pytest

from stratavore.store.queries import load

TEXT = """\
-- What is before the first name is a comment on the file.

-- name: first
-- Why it is so.
SELECT 1

-- name: second_2
SELECT ':name', $1
  -- name: not_at_the_line's_start
FROM x;
"""


def module(directory: Path, text: str) -> str:
    """A module's path, with these statements beside it."""
    (directory / "orders.sql").write_text(text, encoding="utf-8")
    return str(directory / "orders.py")


def test_statements_by_name(tmp_path: Path) -> None:
    queries = load(module(tmp_path, TEXT))
    assert list(queries) == ["first", "second_2"]
    assert len(queries) == 2
    assert queries.first == queries["first"] == "-- name: first\n-- Why it is so.\nSELECT 1"
    assert queries.second_2.endswith("  -- name: not_at_the_line's_start\nFROM x;")


def test_a_statement_that_is_not_there_is_told_with_its_file(tmp_path: Path) -> None:
    queries = load(module(tmp_path, TEXT))
    with pytest.raises(AttributeError, match=r"orders\.sql has no statement named third"):
        queries.third  # noqa: B018
    with pytest.raises(KeyError):
        queries["third"]


def test_queries_can_be_copied(tmp_path: Path) -> None:
    queries = load(module(tmp_path, TEXT))
    assert dict(copy.deepcopy(queries)) == dict(queries)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT 1\n-- name: a\nSELECT 2", "a statement without a name: SELECT 1"),
        ("-- name: A\nSELECT 1", "a statement without a name: SELECT 1"),
        ("-- name: a\nSELECT 1\n-- name: b-c\nSELECT 2", "no name of a statement: -- name: b-c"),
        ("-- name: a\nSELECT 1\n--name: b\nSELECT 2", "no name of a statement: --name: b"),
        ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2", "two statements are named a"),
        ("-- name: a\n-- only a comment\n\n-- name: b\nSELECT 1", "the statement a is empty"),
        ("-- name: a", "the statement a is empty"),
    ],
)
def test_faults_are_found_when_the_file_is_read(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ValueError) as raised:
        load(module(tmp_path, text))
    assert str(raised.value).startswith("orders.sql: ")
    assert fault in str(raised.value)


def test_a_module_without_statements_beside_it_cannot_load_any(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "nothing.py"))
