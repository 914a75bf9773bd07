"""The person's terminal: what fits, whether it takes colours, notes and progress beside the output."""

import os
import sys
import time

import typer

from cli.widths import wrap

_ERASE = "\r\x1b[K"
QUIET_SECONDS = 1.0
"""What is over sooner needs no progress."""


def width() -> int | None:
    """Columns of the terminal; None if the output goes elsewhere and may be as wide as it is."""
    return typer.get_terminal_size().columns if sys.stdout.isatty() else None


def colours() -> bool:
    """Whether the output takes colours: see https://no-color.org and https://bixense.com/clicolors."""
    if os.environ.get("NO_COLOR"):
        return False
    return colours_forced() or (sys.stdout.isatty() and obeys())


def colours_forced() -> bool:
    """Whether somebody wants colours, whatever the output is."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))


def obeys() -> bool:
    """Whether the terminal moves its cursor and takes lines away when told to."""
    return os.environ.get("TERM") != "dumb"


def interactive() -> bool:
    """Whether a person sits at both ends: only then a terminal is taken over or a question asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def note(text: str) -> None:
    """Tell a person something that is no result; on a terminal no word is torn apart."""
    if sys.stderr.isatty():
        columns = typer.get_terminal_size().columns
        text = "\n".join(part for line in text.split("\n") for part in _wrapped(line, columns))
    typer.echo(text, err=True)


def _wrapped(line: str, columns: int) -> list[str]:
    words = line.lstrip(" ")
    indent = line[: len(line) - len(words)]
    return wrap(words, columns, before=indent, indent=indent)


class Progress:
    """One line that says what is waited for; none before a second has passed, none off a terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def show(self, text: str) -> None:
        """Say what is waited for now."""
        if self.seconds >= QUIET_SECONDS and sys.stderr.isatty() and obeys():
            columns = typer.get_terminal_size().columns
            sys.stderr.write(f"{_ERASE}{f'{text} ({self.seconds:.0f} s)'[: columns - 1]}")
            sys.stderr.flush()
            self._shown = True

    def say(self, text: str) -> None:
        """Leave a line that stays."""
        self.clear()
        note(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._shown = False
