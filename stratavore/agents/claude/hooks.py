"""Lines of a runner's file of hooks, as ``hook.sh`` writes them."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json


@dataclass(frozen=True)
class Hook:
    """What Claude Code told of itself at a time (Unix time)."""

    at: float
    name: str
    given: dict[str, Any]

    def text(self, key: str) -> str | None:
        """One of the values, if it is a text."""
        value = self.given.get(key)
        return value if isinstance(value, str) and value else None


def read_hook(line: bytes) -> Hook | None:
    """A line, of which the end may have been cut off; None if it cannot be understood."""
    stamp, _, body = line.partition(b" ")
    try:
        at = float(stamp)
        given = from_json(body, allow_partial="trailing-strings")
    except ValueError:
        return None
    if not isinstance(given, dict) or not isinstance(name := given.get("hook_event_name"), str):
        return None
    return Hook(at, name, given)
