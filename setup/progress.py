"""What a person sees of a step: nothing if it is quick, what it does if it takes over a second, why it failed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

QUIET_SECONDS = 1.0
"""What is over sooner needs no progress."""
LOOK_SECONDS = 0.1
LAST_LINES = 15
_ERASE = "\r\x1b[K"


class SetupFailed(Exception):
    """A step failed; says why, and what the person should do."""


def run(
    title: str,
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    give_up: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Run a program, and say what it does while it does it. Returns the last lines of its output.

    Args:
        title: what it does, as in "Installing tmux".
        command: the program with its arguments.
        environment: its environment; by default ours.
        give_up: asked all the time; it is ended once this is true.

    Raises:
        SetupFailed: it failed, was given up, or cannot be run; with the end of its output.
    """
    line = _Line(title)
    with TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            raise SetupFailed(f"{title}: {error}") from error
        try:
            while _runs(process) and not give_up():
                line.show(_tail(output)[-1:])
        finally:
            code = process.poll()
            if code is None:
                process.terminate()
                process.wait()
            line.end(done=code == 0)
        last = _tail(output)
        if code != 0:
            said = "".join(f"\n  {text}" for text in last)
            raise SetupFailed(f"{title}: {'given up' if code is None else f'exit code {code}'}.{said}")
        return last


def say(text: str = "") -> None:
    """Tell the person something."""
    print(text, flush=True)  # noqa: T201


def report(main: Callable[[], None]) -> int:
    """Run a step's program: whatever stops it becomes one message. Returns the exit code."""
    try:
        main()
    except SetupFailed as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. The same command goes on from here.\n")
        return 130
    return 0


class _Line:
    """One line that is written again and again on a terminal, and once elsewhere."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._shown = False

    def show(self, detail: Sequence[str]) -> None:
        """Say what is going on, from the second that it takes on."""
        seconds = time.monotonic() - self._began
        if seconds < QUIET_SECONDS:
            return
        if sys.stdout.isatty():
            columns = shutil.get_terminal_size().columns
            text = f"{self._title} … {seconds:.0f} s  {''.join(detail).lstrip()}"
            sys.stdout.write(_ERASE + text[: columns - 1])
            sys.stdout.flush()
        elif not self._shown:
            say(f"{self._title} …")
        self._shown = True

    def end(self, *, done: bool) -> None:
        """Leave a line that stays, if anything was shown."""
        if self._shown and sys.stdout.isatty():
            sys.stdout.write(_ERASE)
        if self._shown and done:
            say(f"{self._title}: done in {time.monotonic() - self._began:.0f} s.")


def _runs(process: subprocess.Popen[bytes]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(LOOK_SECONDS)
    return process.returncode is None


def _tail(output: IO[bytes]) -> list[str]:
    """The last lines; read without moving the position, which the program that writes shares."""
    size = os.fstat(output.fileno()).st_size
    text = os.pread(output.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
    lines = ["".join(c for c in line if c.isprintable()).rstrip() for line in text.splitlines()]
    return [line for line in lines if line][-LAST_LINES:]
