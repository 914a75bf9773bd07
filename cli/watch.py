"""Showing something again and again: on the alternate screen until a key ends it, else one after another."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import typer

from cli import terminal

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_KEYS_THAT_END = (b"q", b"Q", b"\x03", b"\x04")

Frame = Callable[[int | None, int | None], list[str]]


def every(seconds: float, frame: Frame) -> None:
    """Show ``frame(width, height)`` every so often, until ``q`` or Ctrl-C."""
    if not (terminal.interactive() and terminal.obeys()):
        while True:
            typer.echo("\n".join([*frame(terminal.width(), None), ""]))
            sys.stdout.flush()
            time.sleep(seconds)
    try:
        with _screen():
            while True:
                size = typer.get_terminal_size()
                _draw(frame(size.columns, size.lines - 2), size.columns)
                if _ended_by_key(seconds):
                    return
    except KeyboardInterrupt:
        return


@contextmanager
def _screen() -> Iterator[None]:
    """The alternate screen, without echo and line editing; as it was afterwards."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    _write(_ENTER)
    try:
        yield
    finally:
        _write(_LEAVE)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _draw(lines: list[str], width: int) -> None:
    head = f"stratavore status  {datetime.now():%H:%M:%S}  q: leave"
    _write(_HOME + "".join(f"{line}{_END_OF_LINE}\r\n" for line in (head[:width], *lines)) + _BELOW)


def _ended_by_key(seconds: float) -> bool:
    """Wait for the next time to draw, or a key."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            keys = os.read(sys.stdin.fileno(), 64)
            if not keys or keys[:1] in _KEYS_THAT_END:
                return True
    return False


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
