"""How much room text takes on a terminal, and making it fit: wide letters take two columns, accents none."""

import re
from collections.abc import Iterator

_WORD = r"[\w/*#'=-]+(?:\.[\w/*#'=-]+)*"
_UNBROKEN = re.compile(rf"stratavore(?: {_WORD})*\S*")
"""A command, with what ends its sentence."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def size(text: str) -> int:
    """The columns that a text takes; colours take none."""
    text = _COLOUR.sub("", text)
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(0 if category(c) in ("Mn", "Me", "Cf") else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, columns: int) -> str:
    """The text, or its beginning with an ellipsis, in so many columns at most."""
    if size(text) <= columns:
        return text
    while size(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def wrap(text: str, columns: int | None, *, before: str = "", indent: str = "") -> list[str]:
    """The lines of a text, none longer than ``columns`` unless a word is: paths stay whole, and commands that fit.

    Args:
        text: one line, with spaces between its words.
        columns: None: the output goes elsewhere, and takes lines of any length.
        before: what the first line begins with.
        indent: what the others begin with.
    """
    if columns is None or size(before + text) <= columns:
        return [before + text]
    lines, line = [], before
    fresh = True
    for word in _words(text, columns - size(indent)):
        if not fresh and size(line) + 1 + size(word) > columns:
            lines.append(line)
            line, fresh = indent, True
        line += word if fresh else f" {word}"
        fresh = False
    return [*lines, line]


def _words(text: str, columns: int) -> Iterator[str]:
    """The words of a text; a command counts as one, so that it can be copied."""
    end = 0
    for found in _UNBROKEN.finditer(text):
        if size(found[0]) <= columns:
            yield from filter(None, text[end : found.start()].split(" "))
            yield found[0]
            end = found.end()
    yield from filter(None, text[end:].split(" "))
