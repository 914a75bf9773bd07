"""Limits as bars: how much is used, and how much is left."""

import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from cli import terminal, text
from cli.widths import cut, size

WIDEST = 24
"""Columns that a bar takes if there is room."""
NARROWEST = 8
"""A shorter one tells nothing."""
MOST = 10
"""Bars that are shown; of more those that are used most."""
_PLAIN, _DRAWN = "#.", "█░"
_NEARLY = 0.8
_GREEN, _YELLOW, _RED = "32", "33", "31"


class Bar(NamedTuple):
    """A limit, with what is used of it."""

    label: str
    used: float
    limit: float
    unit: str
    """``runners``, ``MB``, ``tokens`` or ``usd``."""
    resets: str | None = None
    """When it begins anew, as a time in ISO 8601; None: never."""

    @property
    def share(self) -> float:
        """Of the limit; above 1: more was used than it allows."""
        if self.limit <= 0:
            return 1.0
        return self.used / self.limit

    @property
    def told(self) -> str:
        """The numbers: ``4 of 5 runners, 1 left``."""
        left = max(0.0, self.limit - self.used)
        until = f", until {text.clock(self.resets)}" if self.resets else ""
        return f"{self._amount(self.used)} of {self._with_unit(self.limit)}, {self._amount(left)} left{until}"

    def _amount(self, number: float) -> str:
        match self.unit:
            case "usd":
                return f"${Decimal(str(number)):,.2f}"
            case "MB":
                return text.megabytes(number)
            case "tokens":
                return text.amount(int(number))
        return f"{number:,.0f}"

    def _with_unit(self, number: float) -> str:
        return self._amount(number) + (f" {self.unit}" if self.unit in ("runners", "tokens") else "")


def lines(bars: Sequence[Bar], width: int | None, *, colour: bool, drawn: bool | None = None) -> list[str]:
    """A line for each: its label, the bar and the numbers; without the bar where nobody sees it, or it does not fit.

    Args:
        bars: which; of very many those that are used most.
        width: columns; None: the output goes elsewhere.
        colour: whether bars have colours.
        drawn: with letters that not every terminal has; None: as this one has them.
    """
    shown = sorted(bars, key=lambda one: -one.share)[:MOST] if len(bars) > MOST else bars
    if not shown:
        return []
    labels, told = max(size(one.label) for one in shown), max(size(one.told) for one in shown)
    room = 0 if width is None else min(WIDEST, width - labels - told - len("  []  100%  "))
    letters = _DRAWN if (can_draw() if drawn is None else drawn) else _PLAIN
    found = []
    for one in shown:
        bar = f"{_bar(one, room, letters, colour=colour)}  " if room >= NARROWEST else ""
        line = f"{one.label}{' ' * (labels - size(one.label))}  {bar}{_percent(one.share):>4}  {one.told}"
        found.append(line if width is None else cut(line, width) if size(line) > width else line)
    if len(bars) > len(shown):
        found.append(f"… and {len(bars) - len(shown)} more limits; see: stratavore quotas show, stratavore budget show")
    return found


def can_draw() -> bool:
    """Whether the output takes letters beyond ASCII, and draws them."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8" and terminal.obeys()


def _bar(one: Bar, columns: int, letters: str, *, colour: bool) -> str:
    full = min(columns, int(one.share * columns))
    full = max(full, 1) if one.used > 0 else full  # a little is something
    used, left = letters[0] * full, letters[1] * (columns - full)
    if colour and used:
        code = _RED if one.share >= 1 else _YELLOW if one.share >= _NEARLY else _GREEN
        used = f"\x1b[{code}m{used}\x1b[0m"
    return f"[{used}{left}]"


def _percent(share: float) -> str:
    return f"{int(share * 100)}%" if share < 10 else ">999%"
