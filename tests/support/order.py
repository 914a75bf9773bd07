"""In which order tests run: what takes long begins first, so that no worker is left alone with it in the end.

Kinds take turns that would be in each other's way: tests marked ``waits`` let a time pass that is what they are about,
and several of them at once would leave the processors idle; real agents at once would make each other slow.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import pytest

from tests.support.servers import REPOSITORY

TESTS = REPOSITORY / "tests"
SETTLED = 12
"""So many begin before any that waits: while all workers start their servers, leases might run out."""


def ordered(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Who waits, dies often or has real agents by turns, then others with servers, then who needs none."""
    kinds: dict[str, list[pytest.Item]] = {}
    for item in items:
        kinds.setdefault(_kind(item), []).append(item)
    waits, chaos, e2e, servers, rest = (
        kinds.get(kind, []) for kind in ("waits", "chaos", "e2e", "with servers", "without servers")
    )
    long = [*_by_turns(chaos, e2e)]
    return [*long[:SETTLED], *_by_turns(waits, long[SETTLED:]), *servers, *rest]


def _kind(item: pytest.Item) -> str:
    if item.get_closest_marker("waits"):
        return "waits"
    directory = item.path.relative_to(TESTS).parts[0]
    if directory in ("chaos", "e2e"):
        return directory
    return "with servers" if "homes" in getattr(item, "fixturenames", ()) else "without servers"


def _by_turns(some: Sequence[pytest.Item], others: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    return (item for item in chain.from_iterable(zip_longest(some, others)) if item is not None)
