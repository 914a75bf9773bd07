"""The sample program, through a real terminal."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stratavore import procfs
from stratavore.agents.sample import ARGV, Notes, answer, notes_file

SESSION = "3f2a1b4c-0000-4000-8000-000000000000"


class Talk:
    """A terminal with the program in it."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does to a program that waits for input; one that is about to wait hears it later."""
        deadline = time.monotonic() + 20
        while procfs.stat(self.process.pid).state != "S":
            assert time.monotonic() < deadline
            time.sleep(0.001)
        self.process.send_signal(signal.SIGINT)

    def until(self, text: str, timeout: float = 20) -> str:
        """What it shows, up to this text and a prompt or its end."""
        shown, deadline = b"", time.monotonic() + timeout
        while text.encode() not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([self._terminal], [], [], 0.1)[0]:
                shown += os.read(self._terminal, 65536)  # fails when it has ended and said all
        return shown.decode()


@contextmanager
def sample(home: Path, generation: int = 1) -> Iterator[Talk]:
    own, theirs = pty.openpty()
    environment = os.environ | {
        "TERM": "xterm",
        "STRATAVORE_HOME": str(home),
        "STRATAVORE_SESSION_ID": SESSION,
        "STRATAVORE_RUNNER_ID": f"{SESSION}.{generation}",
    }
    with subprocess.Popen(
        ARGV, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=Path.cwd(), start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            yield Talk(process, own)
        finally:
            process.kill()
            os.close(own)


def test_it_remembers_over_its_death(tmp_path: Path) -> None:
    with sample(tmp_path) as talk:
        assert "session 3f2a1b4c, runner 1. I remember 0 notes" in talk.until("can do.")
        talk.type("buy milk\r")
        talk.until("Remembered (1 so far).")
        talk.type("note grüße 🦜\r")
        talk.until("Remembered (2 so far).")
        talk.process.kill()
    with sample(tmp_path, generation=2) as talk:
        assert "runner 2. I remember 2 notes" in talk.until("can do.")
        talk.type("list\r")
        shown = talk.until("🦜")
        assert "buy milk" in shown and "grüße" in shown
        talk.type("who\r")
        assert f"process {talk.process.pid}" in talk.until(f"in {Path.cwd()}")
        talk.type("quit\r")
        talk.until("Good-bye.")
        assert talk.process.wait(10) == 0
    assert [path.name for path in (tmp_path / "sample").iterdir()] == [f"{SESSION}.txt"]


def test_it_crashes_when_asked(tmp_path: Path) -> None:
    with sample(tmp_path) as talk:
        talk.until("can do.")
        talk.type("crash\r")
        talk.until("RuntimeError: crashing, as you asked")
        assert talk.process.wait(10) == 1


@pytest.mark.parametrize(("keys", "code"), [("\x04", 0), ("quit\r", 0), ("exit\r", 0)])
def test_it_ends_when_asked(tmp_path: Path, keys: str, code: int) -> None:
    with sample(tmp_path) as talk:
        talk.until("> ")
        talk.type(keys)
        talk.until("Good-bye.")
        assert talk.process.wait(10) == code


def test_one_interruption_is_forgiven(tmp_path: Path) -> None:
    with sample(tmp_path) as talk:
        talk.until("> ")
        for _ in range(2):
            talk.interrupt()
            talk.until("Once more to leave.")
            talk.type("still here\r")
            talk.until("Remembered")
        talk.interrupt()
        talk.until("Once more to leave.")
        talk.interrupt()
        talk.until("Good-bye.")
        assert talk.process.wait(10) == 130


def test_an_interruption_ends_the_work(tmp_path: Path) -> None:
    with sample(tmp_path) as talk:
        talk.until("> ")
        talk.type("work 600\r")
        talk.until("s to go")
        talk.process.send_signal(signal.SIGINT)
        talk.until("Once more to leave.")
        talk.type("work 0.1\r")
        talk.until("Done.")


def test_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(None)
    assert answer("list", notes) == "Nothing yet: type something."
    assert "look busy" in (answer("help", notes) or "")
    assert answer("work long", notes) == "'long' is no number of seconds."
    assert answer("one\ntwo", notes) == "Remembered (2 so far)."
    assert [line.partition("  ")[2] for line in notes] == ["one", "two"]
    assert answer("QUIT", notes) is None
    monkeypatch.delenv("STRATAVORE_HOME", raising=False)
    assert notes_file() is None
