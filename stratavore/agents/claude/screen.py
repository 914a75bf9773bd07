# ruff: noqa: RUF001 - the letters that the program draws with
"""What Claude Code's screen shows: its prompt box, whether it works, what it asks.

Seen in version 2.1.331, in both of its layouts. What is not recognised is ``Shows.NOTHING``, and decides nothing.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from stratavore.agents.adapter import Option, Question

_RULE = re.compile(r"^ *[─━▔]{20,} *$")
_BOX = re.compile(r"^ ?([❯>!])(?:[ \u00a0](.*))?$")
_NUMBERED = re.compile(r"^[ \u00a0]*(❯)?[ \u00a0]*(\d+)\.[ \u00a0]+(\S.*?) *$")
_BARE = re.compile(r"^[ \u00a0]*(❯)?[ \u00a0]{1,6}(\S.*?) *$")
_FOOTER = re.compile(r"\b(Esc to cancel|Enter to (confirm|select|continue|submit))\b", re.IGNORECASE)
_WORKS = re.compile(r"\besc to interrupt\b", re.IGNORECASE)
_SPINNER = re.compile(r"^ ?[✢✳✶✻✽✺*·] \S+…")
_ABOVE = 12
"""Lines above the box among which the spinner turns; what waits for its turn may stand between."""
_HIGHEST_BOX = 25
_HINT = "Press up to edit queued messages"
"""Stands in an empty box."""
_TIP = re.compile(r"^ *(Tip:|⎿)")


class Shows(StrEnum):
    """What a screen is about."""

    BOX = "box"
    WORK = "work"
    """It works; its box can be typed into all the same."""
    QUESTION = "question"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Screen:
    """A screen, understood."""

    shows: Shows
    typed: str = ""
    """What is in the box."""
    shell: bool = False
    """The box takes a command for the shell."""
    question: Question | None = None


def read_screen(text: str) -> Screen:
    """Understand a screen, as tmux captures it."""
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    box = _box(lines)
    question = _question(lines, below=box.row if box else -1)
    if question:
        return Screen(Shows.QUESTION, question=question)
    if box is None:
        return Screen(Shows.NOTHING)
    # With text in the box the line below it does not say that it works.
    above = lines[max(0, box.row - 1 - _ABOVE) : box.row - 1]
    works = any(_WORKS.search(line) for line in lines[box.end :]) or any(map(_SPINNER.match, above))
    return Screen(Shows.WORK if works else Shows.BOX, box.typed, box.mark == "!")


@dataclass(frozen=True)
class _Box:
    row: int
    end: int
    mark: str
    typed: str


def _box(lines: list[str]) -> _Box | None:
    """The prompt box: between two rules. The lowest counts, others are of the past."""
    rules = [number for number, line in enumerate(lines) if _RULE.match(line)]
    for upper, lower in zip(reversed(rules[:-1]), reversed(rules[1:]), strict=True):
        inside = lines[upper + 1 : lower]
        if inside and len(inside) <= _HIGHEST_BOX and (found := _BOX.match(inside[0])):
            typed = "\n".join([found[2] or "", *(line.removeprefix("  ") for line in inside[1:])])
            typed = typed.strip()
            return _Box(upper + 1, lower + 1, found[1], "" if typed == _HINT else typed)
    return None


def _question(lines: list[str], below: int) -> Question | None:
    """A dialog at the end of the screen, with options of which one is pointed at; not one above the box."""
    footer = next((n for n in range(len(lines) - 1, max(-1, len(lines) - 6), -1) if _FOOTER.search(lines[n])), None)
    end = len(lines) if footer is None else footer
    numbered = [(n, found) for n, line in enumerate(lines[:end]) if (found := _NUMBERED.match(line))]
    # The last run of numbers that begins with 1: higher up there may be a list in the conversation.
    first = max((k for k, (_, found) in enumerate(numbered) if found[2] == "1"), default=0)
    run = numbered[first:]
    if run and run[0][0] >= below and any(found[1] for _, found in run):
        # Some dialogs have no footer: their options are the end of the screen.
        if footer is None and (below >= 0 or run[-1][0] < len(lines) - 2):
            return None
        options = tuple(Option(found[2], found[3], bool(found[1])) for _, found in run)
        return Question(_asked(lines[: run[0][0]]), options)
    return _bare_question(lines, footer) if footer is not None and below < 0 else None


def _bare_question(lines: list[str], footer: int) -> Question | None:
    """A dialog whose options have no numbers: a block of lines, one of them pointed at."""
    pointed = next((n for n in range(footer - 1, -1, -1) if lines[n].lstrip().startswith("❯")), None)
    if pointed is None:
        return None
    first, last = pointed, pointed
    while first > 0 and lines[first - 1].strip():
        first -= 1
    while last + 1 < footer and lines[last + 1].strip():
        last += 1
    found = [match for line in lines[first : last + 1] if (match := _BARE.match(line))]
    options = tuple(Option("", match[2], bool(match[1])) for match in found)
    return Question(_asked(lines[:first]), options) if len(options) > 1 else None


def _asked(above: list[str]) -> str:
    """The text of a dialog: from the rule above it down to its options."""
    top = max((n for n, line in enumerate(above) if _RULE.match(line)), default=-1)
    said = [line.strip() for line in above[top + 1 :] if line.strip(" ╌─│╭╮╰╯") and not _TIP.match(line)]
    return "\n".join(said[-12:])
