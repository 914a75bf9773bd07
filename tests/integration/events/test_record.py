"""Events after years in Postgres: the same data, the same signature, found by the patterns that the broker knows."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stratavore.errors import InvalidInput
from stratavore.events.canonical import canonical
from stratavore.events.envelope import NewEvent, verify
from stratavore.events.topics import LONGEST_KEY
from stratavore.store import events
from tests.integration.events.conftest import KEY, Exchange, Record, happened, taken

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)
STRANGE = {"text": "nul \0 half \ud800", "nan": float("nan"), "big": 2**80, "\0": [1e300, -0.0, 5e-324, 0.1], "o": (1,)}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(st.text(st.characters(), max_size=4), ANYTHING, max_size=4))
@example(data=STRANGE)
async def test_whatever_is_recorded_comes_back_and_its_signature_holds(record: Record, data: dict[str, Any]) -> None:
    (session,) = await record.new_sessions()
    (new,) = await record.append(NewEvent(session, "a", "runner.activity", "site", data))
    row = (await record.rows())[-1]
    assert canonical(row.data) == canonical(new.data)
    assert row.cloud_event() | {"data": None} == new.cloud_event() | {"data": None}
    assert verify(json.loads(row.body()), KEY)


async def test_the_latest_events_are_listed_oldest_first(record: Record) -> None:
    (session,) = await record.new_sessions()
    for key in "abc":
        await record.append(happened(session, key), happened(None, key))
    async with record.database.pool.acquire() as connection:
        listed = await events.views(connection, project="site", limit=2)
        everything = await events.views(connection)
    assert [one.sequence for one in listed] == [2, 3]
    assert [one.session_id for one in everything] == [None, session] * 3
    times = [one.time for one in everything]
    assert times == sorted(times)


@pytest.mark.parametrize("limit", [0, -1, events.MOST + 1])
async def test_a_limit_that_is_none_is_refused(record: Record, limit: int) -> None:
    async with record.database.pool.acquire() as connection:
        with pytest.raises(InvalidInput, match=f"not {limit}"):
            await events.views(connection, limit=limit)


async def test_what_is_undelivered_is_counted(record: Record) -> None:
    (session,) = await record.new_sessions()
    await record.append(happened(session, "a"), happened(session, "b"), happened(session, "c"))
    await record.fetch("UPDATE outbox SET delivered = true WHERE id = (SELECT min(id) FROM outbox)")
    await record.fetch("UPDATE outbox SET dead = true WHERE id = (SELECT max(id) FROM outbox)")
    async with record.database.pool.acquire() as connection:
        assert await events.undelivered(connection) == 2


HAPPENED = [
    ("runner.started", "site", {}),
    ("runner.started", "my.site_2-b", {}),
    ("runner.failed", "runner", {}),
    ("session.created", "site", {}),
    ("session.created", "*", {}),
    ("session.ended", "#", {}),
    ("session.ended", "été %.", {}),
    ("system.alert", "", {"severity": "error"}),
    ("system.alert", "site", {"severity": "very.bad\n"}),
    ("budget.reset", "site", {"scope": "project/site"}),
]
SMALL = [
    ".".join(words) for count in (1, 2, 3) for words in itertools.product(("*", "#", "runner", "site"), repeat=count)
]
LARGER = [
    "",
    ".",
    "#.",
    ".#",
    "runner..site",
    "*.*.*.*",
    "#.*.#.*.#",
    "runner.started.my.site_2-b",
    "runner.started.my%2Esite_2-b",
    "runner.started.my%2esite_2-b",
    "session.created.%2A",
    "session.ended.%23",
    "session.ended.*",
    "session.ended.%C3%A9t%C3%A9%20%25%2E",
    "system.alert.error",
    "system.alert.very%2Ebad%0A",
    "system.alert.site",
    "budget.reset.project%2Fsite",
    "budget.reset.site",
    "Runner.started.site",
    "runner.start*.site",
    "runner.started.sit#",
    "runner.started.s.te",
    "(runner|session).started.site",
    "***",
    "été.#",
    ".".join(["#", "*"] * 63),
    "#.#.#.#.#.#.#.#",
]


async def test_patterns_list_what_the_broker_delivers(record: Record, exchange: Exchange) -> None:
    (session,) = await record.new_sessions()
    await record.append(
        *(NewEvent(session, str(number), *one) for number, one in enumerate(HAPPENED)),
    )
    rows = await record.rows()
    patterns = SMALL + LARGER
    queues = [await exchange.queue(pattern) for pattern in patterns]
    await exchange.broker.ready()
    for row in rows:
        await exchange.broker.publish(row)
    async with record.database.pool.acquire() as connection:
        for pattern, queue in zip(patterns, queues, strict=True):
            delivered = {event["id"] for event in await taken(queue)}
            listed = {view.id for view in await events.views(connection, pattern=pattern)}
            assert listed == delivered, pattern


@pytest.mark.parametrize("pattern", ["a\0", "\udcff", "x" * (LONGEST_KEY + 1)])
async def test_what_no_broker_takes_is_refused_here_too(record: Record, pattern: str) -> None:
    async with record.database.pool.acquire() as connection:
        with pytest.raises(InvalidInput):
            await events.views(connection, pattern=pattern)


async def test_a_pattern_and_a_project_narrow_together(record: Record) -> None:
    (session,) = await record.new_sessions()
    await record.append(*(NewEvent(session, str(number), *one) for number, one in enumerate(HAPPENED)))
    async with record.database.pool.acquire() as connection:
        found = await events.views(connection, project="site", pattern="*.created.#")
        nothing = await events.views(connection, project="site", pattern="session.created.%2A")
    assert [(one.type, one.project) for one in found] == [("session.created", "site")]
    assert nothing == []
