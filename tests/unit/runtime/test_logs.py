import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.runtime.logs import last_lines, plain_tail, trim_log, trim_logs


def test_a_small_log_is_left_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert not trim_log(log, 3)
    log.write_text("abc")
    assert not trim_log(log, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_large_log_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.1").write_text("older")
    with log.open("a") as writer:
        writer.write("abcd")
        writer.flush()
        assert trim_log(log, 3)
        writer.write("ef")
    assert (tmp_path / "log.1").read_text() == "abcd"
    assert log.read_text() == "ef"
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1"}


def test_what_is_written_while_it_is_put_aside_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_text("abcd")
    replace = Path.replace

    def write_meanwhile(self: Path, target: Path) -> Path:
        with log.open("a") as writer:
            writer.write("ef")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", write_meanwhile)
    assert trim_log(log, 3)
    assert (tmp_path / "log.1").read_text() == "abcdef"
    assert log.read_text() == ""


def test_a_full_disk_costs_neither_the_log_nor_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    log.write_text("abcd")
    (tmp_path / "log.1").write_text("older")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        trim_log(log, 3)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"log": "abcd", "log.1": "older"}


def test_logs_of_a_directory_take_bounded_room_while_they_are_written(tmp_path: Path) -> None:
    log, small = tmp_path / "server.log", tmp_path / "small.log"
    small.write_text("small")
    (tmp_path / "notes").write_text("n" * 1000)
    with log.open("ab", buffering=0) as writer:
        for number in range(100):
            writer.write(f"{number:04}\n".encode() * 40)  # 200 bytes between two looks
            trim_logs(tmp_path, 500)
            assert log.stat().st_size <= 500
            assert sum(path.stat().st_size for path in tmp_path.glob("server.log*")) <= 1000
    kept = (tmp_path / "server.log.1").read_bytes() + log.read_bytes()
    assert kept == b"".join(f"{number:04}\n".encode() * 40 for number in range(100))[-len(kept) :]
    assert (small.read_text(), (tmp_path / "notes").stat().st_size) == ("small", 1000)


def test_of_a_flood_only_the_end_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_bytes(b"flood" * 10_000 + b"the end")
    trim_logs(tmp_path, 100)
    assert (tmp_path / "server.log.1").read_bytes() == (b"flood" * 100 + b"the end")[-100:]
    assert log.read_bytes() == b""


def test_a_log_that_cannot_be_moved_does_not_hold_up_the_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.log").write_text("much")
    (tmp_path / "a.log.new").mkdir()  # in the way
    with pytest.raises(ExceptionGroup, match="cannot be moved"):
        trim_logs(tmp_path, 3)
    assert {path.name: path.read_text() for path in tmp_path.glob("*.log")} == {"a.log": "much", "b.log": ""}


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (b"\x1b[31mred\x1b[0m and \x1b[1;4mmore\x1b[m\r\n", "red and more\n"),
        (b"\x1b]0;title\x07text\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "textlink"),
        (b"10%\r50%\r100%\ndone\r\n", "100%\ndone\n"),
        (b"\x1b[2J\x1b[H\x1b(Bscreen\x1b7\x1b8\x1b=\x1bP1$r0m\x1b\\", "screen"),
        (b"bell\x07 back\x08 nul\0 tab\t.", "bell back nul tab\t."),
        ("grüße 🦜 \u202e".encode() + b"\xff\x9b", "grüße 🦜 \ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_a_tail_without_colours_and_movements(tmp_path: Path, written: bytes, plain: str) -> None:
    log = tmp_path / "log"
    log.write_bytes(written)
    assert plain_tail(log) == plain


@given(written=st.binary(max_size=200))
def test_no_output_can_move_or_colour_the_readers_terminal(
    tmp_path_factory: pytest.TempPathFactory, written: bytes
) -> None:
    log = tmp_path_factory.getbasetemp() / "any-output"
    log.write_bytes(written)
    assert all(one.isprintable() or one in "\n\t" for one in plain_tail(log))


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    lines = plain_tail(log).splitlines()
    assert lines[-1] == "line 99999"
    assert len(lines) < 2000


def test_there_is_no_log(tmp_path: Path) -> None:
    assert plain_tail(tmp_path / "log") == ""


def test_the_last_lines_that_are_not_empty() -> None:
    assert last_lines("a\n\n  b  \n\t\nc\n\n\n", 2) == "  b\nc"
    assert last_lines("\n \n") == ""
