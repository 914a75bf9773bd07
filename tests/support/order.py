"""In which order tests run: what takes long begins first, so that no worker is left alone with it in the end.

Tests marked ``waits`` let a time pass that is what they are about. They run beside tests that work: several who wait at
once would leave the processors idle.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import pytest

from tests.support.servers import REPOSITORY

LONG = (REPOSITORY / "tests" / "e2e", REPOSITORY / "tests" / "chaos")
"""Where a test has several daemons or real agents."""


def ordered(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Who waits and who takes long by turns, then others with servers, then who needs none."""
    parts: dict[int, list[pytest.Item]] = {0: [], 1: [], 2: [], 3: []}
    for item in items:
        parts[_part(item)].append(item)
    return [*_by_turns(parts[0], parts[1]), *parts[2], *parts[3]]


def _part(item: pytest.Item) -> int:
    if item.get_closest_marker("waits"):
        return 0
    if any(directory in item.path.parents for directory in LONG):
        return 1
    return 2 if "homes" in getattr(item, "fixturenames", ()) else 3


def _by_turns(waits: Sequence[pytest.Item], works: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    return (item for item in chain.from_iterable(zip_longest(waits, works)) if item is not None)
