"""Since when, as people say it."""

import re
from datetime import UTC, datetime, timedelta

from stratavore.errors import InvalidInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,5})([mhdw])")
TODAY = "today"


def since(said: str) -> str:
    """A time in ISO 8601: ``today`` and days are of UTC, as those of limits are; ``7d`` is so long ago.

    Raises:
        InvalidInput: it is no time.
    """
    now = datetime.now(UTC)
    if said == TODAY:
        return now.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
    if ago := _AGO.fullmatch(said):
        return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise InvalidInput(
            reason=f"'{said}' is no time: say {TODAY}, 30m, 24h, 7d, 4w, or a date like 2026-01-31"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
