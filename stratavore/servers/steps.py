"""What preparing a server consists of."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a step ended."""

    FOUND = "found"
    MADE = "made"
    TO_MAKE = "to make"
    """It is not there, and nothing was to be changed."""
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One thing that a server needs."""

    server: str
    """``database``, ``messaging`` or ``temporal``."""
    what: str
    state: State
    detail: str = ""
