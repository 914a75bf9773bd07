"""Limits that configurations of several hosts name."""

from typing import cast

from temporalio.client import Client

from stratavore.control.configured_limits import ConfiguredLimits
from stratavore.paths import Home
from stratavore.store import limits
from tests.integration.store.steps import LIMIT, MEMORY, TOKENS, Store


def of_host(store: Store, home: Home, host: str) -> ConfiguredLimits:
    """The limits of a host; nobody waits, so none is told by Temporal."""
    return ConfiguredLimits(home, host, store.database, cast(Client, None))


async def shown(store: Store) -> dict[str, tuple[int, str | None]]:
    async with store.database.pool.acquire() as connection:
        found = await limits.views(connection)
    return {one.name: (one.limit, one.source) for one in found if one.limit is not None}


async def test_the_last_start_wins_and_takes_away_only_its_own(store: Store, home: Home) -> None:
    a, b = of_host(store, home, "a"), of_host(store, home, "b")
    by_a, by_b = "configuration of host a", "configuration of host b"
    await store.limit(None, 7, MEMORY)
    assert len(await a.apply({LIMIT: 1, TOKENS: 10})) == 2
    assert await a.apply({LIMIT: 1, TOKENS: 10}) == []
    assert await b.apply({LIMIT: 2, MEMORY: 8}) == [
        f"{LIMIT} is 2 now, by the {by_b}; it was 1, set by {by_a}",
        f"{MEMORY} is 8 now, by the {by_b}; it was 7, set by a person",
    ]
    assert await shown(store) == {LIMIT: (2, by_b), MEMORY: (8, by_b), TOKENS: (10, by_a)}
    assert await a.apply({}) == [f"{TOKENS} is not limited any more, by the {by_a}; it was 10, set by {by_a}"]
    assert await shown(store) == {LIMIT: (2, by_b), MEMORY: (8, by_b)}
    events = await store.fetch("SELECT data FROM events WHERE type = 'system.alert'")
    assert len(events) == 3
    assert {row["data"]["host"] for row in events} == {"a", "b"}
