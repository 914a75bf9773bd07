"""A small interactive program to try Stratavore with: ``python -P -m stratavore.agents.sample``.

It keeps what it is told in a file of its session, so that one sees a resumed session go on with its
conversation.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

ARGV = (sys.executable, "-P", "-m", "stratavore.agents.sample")
"""What runs it. ``-P``: whatever lies in the working directory is not taken for this package."""

_HELP = """\
  anything else   is remembered
  list            show what is remembered
  work [SECONDS]  look busy for a while
  who             show who is talking to you
  crash           end with an error; Stratavore starts me again
  quit            end for good (or Ctrl-D, or Ctrl-C twice)
"""
_LONGEST_WORK = 3600.0


class Notes:
    """What is remembered: one line of a file each, written at once."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lines: list[str] = []
        if path is not None and path.exists():
            self._lines = path.read_text().splitlines()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def add(self, text: str) -> None:
        """Remember a line."""
        line = f"{datetime.now():%Y-%m-%d %H:%M}  {text}"
        self._lines.append(line)
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(line + "\n")


def notes_file() -> Path | None:
    """Where this session's notes are kept; ``None`` outside Stratavore."""
    home, session = os.environ.get("STRATAVORE_HOME"), os.environ.get("STRATAVORE_SESSION_ID")
    return Path(home) / "sample" / f"{session}.txt" if home and session else None


def answer(line: str, notes: Notes) -> str | None:
    """Do what the line says and return what to show; ``None`` to end."""
    word, _, rest = line.partition(" ")
    match word.lower():
        case "quit" | "exit":
            return None
        case "help" | "?":
            return _HELP
        case "list":
            return "\n".join(notes) if len(notes) else "Nothing yet: type something."
        case "who":
            return f"{who()}, process {os.getpid()}, in {Path.cwd()}"
        case "work":
            return work(rest)
        case "crash":
            raise RuntimeError("crashing, as you asked")
        case "note" if rest:
            line = rest
    for one in line.splitlines():
        notes.add(one)
    return f"Remembered ({len(notes)} so far)."


def work(seconds: str) -> str:
    """Show progress for a while."""
    try:
        end = time.monotonic() + min(float(seconds or 5), _LONGEST_WORK)
    except ValueError:
        return f"'{seconds}' is no number of seconds."
    while (left := end - time.monotonic()) > 0:
        print(f"\rworking, {left:4.1f} s to go ", end="", flush=True)  # noqa: T201
        time.sleep(min(0.2, left))
    return "\rDone.                     "


def who() -> str:
    """This runner, in a few words."""
    session, _, generation = os.environ.get("STRATAVORE_RUNNER_ID", "").rpartition(".")
    return f"session {session[:8]}, runner {generation}" if session else "no session of Stratavore"


def main() -> int:
    """Talk until told to stop; returns the exit code."""
    with suppress(ImportError):
        import readline  # noqa: F401 - arrow keys, and pastes of many lines taken as one
    notes = Notes(notes_file())
    print(f"Hello from {who()}. I remember {len(notes)} notes; 'help' shows what I can do.")  # noqa: T201
    interrupted = False
    while True:
        try:
            line = input("> ").strip()
            said = answer(line, notes) if line else ""
        except EOFError:
            said = None
        except KeyboardInterrupt:
            if interrupted:
                print("\nGood-bye.")  # noqa: T201
                return 130
            interrupted = True
            print("\nInterrupted. Once more to leave.")  # noqa: T201
            continue
        interrupted = False
        if said is None:
            print("Good-bye.")  # noqa: T201
            return 0
        if said:
            print(said)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
