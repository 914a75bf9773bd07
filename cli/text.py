"""How values look to a person: short ids, ages, amounts."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from stratavore.naming import plural as plural

SHORTEST_ID = 8
_JOINERS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufe0e\ufe0f"))


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The beginnings of session ids: eight digits, more for those that would look the same."""
    everyone, length = set(ids), SHORTEST_ID
    found: dict[str, str] = {}
    while everyone:
        counts = Counter(one[:length] for one in everyone)
        found |= {one: one[:length] for one in everyone if counts[one[:length]] == 1}
        everyone -= found.keys()
        length += 1
    return found


def short(session_id: str) -> str:
    """The beginning of one session id."""
    return session_id[:SHORTEST_ID]


def age(moment: str | None) -> str:
    """How long ago it was: ``42s``, ``3m``, ``5h``, ``2d``."""
    if moment is None:
        return ""
    return duration((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def duration(seconds: float) -> str:
    """A length of time in its largest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(seconds, 0))}s"


def exactly(seconds: float | None) -> str:
    """A length of time, with tenths where those matter; empty if it is not known."""
    if seconds is None:
        return ""
    return f"{seconds:.1f}s" if seconds < 10 else duration(seconds)


def clock(moment: str) -> str:
    """When it was, by the clock here; with the day unless it was today, and the year unless it was in this one."""
    there, now = datetime.fromisoformat(moment).astimezone(), datetime.now().astimezone()
    if there.year != now.year:
        return f"{there:%Y-%m-%d %H:%M:%S}"
    return f"{there:%H:%M:%S}" if there.date() == now.date() else f"{there:%b %d %H:%M:%S}"


def amount(number: int) -> str:
    """A count with at most three digits and a unit: ``950``, ``12.3k``, ``4.0M``."""
    if number < 1000:
        return str(number)
    scaled, units = number / 1000, "kMGT"
    while scaled >= 999.95 and len(units) > 1:
        scaled, units = scaled / 1000, units[1:]
    return f"{scaled:.1f}{units[0]}" if scaled < 99.95 else f"{scaled:.0f}{units[0]}"


def dollars(cost: float | None, unpriced_tokens: int = 0) -> str:
    """A cost; empty if there is none, ``<$0.01``, ``≥ $1.20`` or ``?`` if the price of some tokens is not known."""
    if cost is None:
        return "?" if unpriced_tokens else ""
    if unpriced_tokens:
        return f"≥ ${cost:.2f}"
    return "<$0.01" if 0 < cost < 0.01 else f"${cost:.2f}"


def megabytes(size: float | None) -> str:
    """A size, in GB from 10 of them on; empty if it is not known."""
    if size is None:
        return ""
    return f"{size:.0f} MB" if size < 10 * 1024 else f"{size / 1024:.1f} GB"


def command_line(words: Iterable[str]) -> str:
    """A program with its arguments, as one would type it."""
    import shlex

    return shlex.join(words)


def one_line(value: Any) -> str:
    """Text on one line, without what a terminal would obey; nothing joins its letters, as terminals differ in that."""
    text = " ".join(str(value).translate(_JOINERS).split()) if value is not None else ""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
