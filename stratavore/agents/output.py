"""What an agent's output without a terminal tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Output:
    """What one line of it tells."""

    text: str = ""
    """For people; empty: nothing."""
    result: Mapping[str, Any] | None = None
    """What the agent gives a program at its end."""
    fault: str = ""
    """Why the result is none."""
