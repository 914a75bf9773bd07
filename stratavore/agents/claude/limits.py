"""Limits that Claude Code tells of, with the time at which they end, as far as it tells that.

Seen in version 2.1.331: ``You've hit your 5-hour limit · resets 11:23pm (UTC)``, and the exact time in the row of the
transcript (``quotaLimits.resetsAt``). Others wrote ``Claude AI usage limit reached|1795562623``, ``resets 3pm``,
``resets Oct 5, 3pm``. What is not understood is a limit without a time.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RESETS = re.compile(
    r"\bresets?(?: at)? (?:(?P<month>[A-Z][a-z]{2})[a-z]* (?P<day>\d{1,2})(?:,| at) )?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))? ?(?P<half>[ap]m)?\b(?: \((?P<zone>[^)]{1,64})\))?"
)
_EPOCH = re.compile(r"\blimit reached\|(\d{10})\b")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LATEST = timedelta(days=40)
"""No plan's limit lasts longer; what claims to is not understood."""
_FAILURES = re.compile(r"\b529\b|\boverloaded\b", re.IGNORECASE)


def told_of_limit(error: str, text: str) -> bool:
    """Whether a turn that failed so can be tried again later, just as it is."""
    return error in ("rate_limit", "overloaded") or (error == "server_error" and bool(_FAILURES.search(text)))


def reset_at(seconds: object, at: datetime) -> datetime | None:
    """The exact time of a reset (Unix time); None: it is none that can be meant."""
    if type(seconds) is not int or not at.timestamp() <= seconds <= (at + _LATEST).timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def reset_told(text: str, at: datetime) -> datetime | None:
    """When a limit ends by what is said of it at a time; None: it is not said, or not so that it is understood.

    A time without a day is the next one of the clock in its zone. What is told is cut to minutes: the minute is waited
    out.
    """
    if epoch := _EPOCH.search(text):
        return reset_at(int(epoch[1]), at)
    found = _RESETS.search(text)
    if found is None or not (found["half"] or found["minute"]):
        return None
    zone, hour, minute = _zone(found["zone"]), int(found["hour"]), int(found["minute"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    if zone is None or hour > 23 or minute > 59:
        return None
    for day in _days(found["month"], found["day"], at.astimezone(zone).date()):
        wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        until = wall.astimezone(UTC) + timedelta(minutes=1)
        if at < until <= at + _LATEST:
            return until
    return None


def _days(month: str | None, day: str | None, today: date) -> list[date]:
    """Days that can be meant, the nearest first."""
    if month is None or day is None:
        return [today + timedelta(days=n) for n in range(-1, 3)]
    days = []
    for year in (today.year, today.year + 1):
        try:
            days.append(date(year, _MONTHS.index(month) + 1, int(day)))
        except ValueError:
            continue
    return days


def _zone(name: str | None) -> tzinfo | None:
    """None: there is none of that name. Without a name it is that of this machine."""
    if name is None:
        return datetime.now().astimezone().tzinfo
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
