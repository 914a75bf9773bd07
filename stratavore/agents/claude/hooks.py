"""Lines of a runner's file of hooks, as ``hook.sh`` writes them."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from stratavore.agents.claude.texts import clean

_LATEST = 2**33
"""Seconds since 1970; what claims to be later is no time."""


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
        at, given = float(stamp), _cleaned(_parsed(body))
    except (ValueError, RecursionError):
        return None
    if not 0 <= at <= _LATEST or not isinstance(given, dict):
        return None
    name = given.get("hook_event_name")
    return Hook(at, name, given) if isinstance(name, str) else None


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_partial="trailing-strings")
    except ValueError:
        return json.loads(body.decode("utf-8", "replace"))  # takes a half of a surrogate pair


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case dict():
            return {key: _cleaned(one) for key, one in value.items()}
        case list():
            return [_cleaned(one) for one in value]
        case _:
            return value
