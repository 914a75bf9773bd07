"""What was written is read again; of a file that was cut or changed nothing else is ever read."""

import asyncio
import io
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.backup import archive
from stratavore.backup.archive import FORMAT, Head, Table, TableWriter, Writer, opened, passed_by
from stratavore.errors import BackupDamaged, BackupUnfit, NotABackup

SESSION = "8f1a2c3d-0000-4000-8000-000000000001"
REFUSED = (BackupDamaged, BackupUnfit, NotABackup)


def written(rows: Iterable[bytes]) -> bytes:
    """A backup of one table."""
    file = io.BytesIO()
    head = Head(
        format=FORMAT,
        version="0.1.0",
        schema_version="0004",
        at=datetime(2026, 11, 25, tzinfo=UTC),
        host="build-1",
        tables=(Table(name="sessions", columns=("id",)),),
        sequences={"outbox_id_seq": 7},
    )
    backup = Writer(file, head)
    backup.add(f"{archive.ENVIRONMENTS}{SESSION}", b"KEY=1\0")
    table = TableWriter(backup, "sessions")
    pieces = list(rows)
    for piece in pieces:
        asyncio.run(table.write(piece))
    table.finish(len(pieces))
    backup.finish()
    return file.getvalue()


def read(content: bytes) -> tuple[Head, bytes, list[tuple[str, bytes]]]:
    """All that is in a file."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        path.write_bytes(content)
        with closing(opened(path)) as found:
            return found.head, b"".join(found.rows("sessions")), list(found.environments())


class Pipe(io.BytesIO):
    """What can be read once, from its beginning on."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


WHOLE = written([b"one\n", b"two\n"])


def test_large_tables_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PIECE_BYTES", 1)
    rows = [bytes([number]) * 70_000 for number in range(8)]
    content = written(rows)
    assert content.count(b"tables/sessions/0000") == 4  # two, each named in the contents too
    head, found, environments = read(content)
    assert found == b"".join(rows)
    assert (head.host, environments) == ("build-1", [(SESSION, b"KEY=1\0")])


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_is_no_backup(size: int) -> None:
    # What follows the last member is padding.
    end = WHOLE.rindex(b"}") + 1
    if size < end:
        with pytest.raises(REFUSED):
            read(WHOLE[:size])
        with pytest.raises(REFUSED):
            passed_by(Pipe(WHOLE[:size]))


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_file_that_was_changed_is_refused_or_means_the_same(place: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= change
    try:
        found = read(bytes(changed))
    except REFUSED:
        with pytest.raises(REFUSED):
            passed_by(Pipe(changed))
        return
    assert passed_by(Pipe(changed)).head == found[0]
    assert found == read(WHOLE)
