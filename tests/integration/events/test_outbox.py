"""Recording events in the transaction of their change: in order, without gaps, each cause once."""

import asyncio
import random
import uuid

import asyncpg
import pytest

from stratavore.events.envelope import verify
from stratavore.events.outbox import CHANNEL, PARTITIONS, append, partition_of
from tests.integration.events.conftest import KEY, Record, happened, orders
from tests.support.waiting import until


class Undone(Exception):
    """A transaction changed its mind."""


async def test_what_is_recorded_is_what_is_returned(record: Record) -> None:
    first, second = await record.new_sessions(2)
    recorded = await record.append(happened(first, "a"), happened(second, "a", text="ü"), happened(first, "b"))
    assert await record.rows() == recorded
    assert [(row.session_id, row.sequence, row.key) for row in recorded] == [
        (first, 1, "a"),
        (second, 1, "a"),
        (first, 2, "b"),
    ]
    assert all(verify(row.cloud_event(), KEY) for row in recorded)
    assert await record.last_sequences() == {first: 2, second: 1}
    partitions = {row["partition"] for row in await record.fetch("SELECT partition FROM outbox")}
    assert partitions == {partition_of(row.session_id, "site", row.type) for row in recorded}


async def test_many_transactions_at_once_leave_no_gap_whoever_gives_up(record: Record) -> None:
    mine = await record.new_sessions(4)
    choice = random.Random(7)
    committed = 0

    async def work(worker: int) -> None:
        nonlocal committed
        for number in range(12):
            # Several sessions in any order: the locks are always taken in one.
            about = choice.sample(mine, choice.randint(1, 4))
            gives_up = choice.random() < 0.3
            try:
                async with record.database.pool.acquire() as connection, connection.transaction():
                    await append(connection, [happened(one, f"{worker}/{number}") for one in about], key=KEY)
                    if gives_up:
                        raise Undone
            except Undone:
                continue
            committed += len(about)

    await asyncio.gather(*(work(worker) for worker in range(12)))
    rows = await record.rows()
    assert len(rows) == committed
    # The outbox has each session's events in their order, too.
    assert orders(rows) == {one: list(range(1, len(numbers) + 1)) for one, numbers in orders(rows).items()}
    assert set(orders(rows)) == set(mine)
    assert await record.last_sequences() == {one: len(numbers) for one, numbers in orders(rows).items()}


async def test_who_sees_an_event_sees_all_before_it(record: Record) -> None:
    (session,) = await record.new_sessions()
    done = False
    seen: list[int] = []

    async def watch() -> None:
        while not done:
            (row,) = await record.fetch("SELECT count(*) AS n, coalesce(max(sequence), 0) AS last FROM events")
            assert row["n"] == row["last"]
            seen.append(row["last"])

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(record.append(happened(session, str(number))) for number in range(60)))
    done = True
    await watching
    assert seen == sorted(seen)
    assert orders(await record.rows()) == {session: list(range(1, 61))}


async def test_the_same_cause_is_one_event(record: Record) -> None:
    first, second = await record.new_sessions(2)
    assert len(await record.append(happened(first, "a"), happened(first, "a", again=True))) == 1
    assert await record.append(happened(first.upper(), "a")) == []
    later = await record.append(happened(first, "b"), happened(first, "a"), happened(second, "a"))
    assert [(row.session_id, row.sequence) for row in later] == [(first, 2), (second, 1)]
    assert [row.data for row in await record.rows()] == [{}, {}, {}]


async def test_the_same_cause_told_by_many_at_once_is_one_event(record: Record) -> None:
    (session,) = await record.new_sessions()
    causes = [happened(session, "a"), happened(None, "x"), happened(None, "y"), happened(session, "b")]
    told = await asyncio.gather(*(record.append(*(causes if number % 2 else reversed(causes))) for number in range(12)))
    rows = await record.rows()
    assert sorted(row.key for row in rows) == ["a", "b", "x", "y"]
    assert orders(rows) == {session: [1, 2]}
    # Who is told that an event is new is the one who recorded it.
    assert sorted(row.id for new in told for row in new) == sorted(row.id for row in rows)
    ((queued,),) = await record.fetch("SELECT count(*) FROM outbox")
    assert queued == 4


async def test_a_cause_whose_transaction_was_undone_can_be_told_again(record: Record) -> None:
    (session,) = await record.new_sessions()
    for cause in (happened(session, "a"), happened(None, "x")):
        with pytest.raises(Undone):
            async with record.database.pool.acquire() as connection, connection.transaction():
                await append(connection, [cause], key=KEY)
                raise Undone
        assert len(await record.append(cause)) == 1
    assert orders(await record.rows()) == {session: [1]}


async def test_events_about_the_system_have_no_order_and_hold_nobody_up(record: Record) -> None:
    (session,) = await record.new_sessions()
    async with record.database.pool.acquire() as connection, connection.transaction():
        await append(connection, [happened(None, "one"), happened(session, "mine")], key=KEY)
        assert len(await record.append(happened(None, "two"))) == 1
    rows = await record.rows()
    assert {(row.key, row.sequence, row.session_id) for row in rows} == {
        ("one", 0, None),
        ("two", 0, None),
        ("mine", 1, session),
    }


async def test_a_session_without_a_row_leaves_nothing(record: Record) -> None:
    (session,) = await record.new_sessions()
    nobody = str(uuid.uuid4())
    with pytest.raises(LookupError, match=nobody):
        await record.append(happened(session, "a"), happened(None, "x"), happened(nobody, "a"))
    assert await record.rows() == []
    assert await record.last_sequences() == {session: 0}
    assert [row.sequence for row in await record.append(happened(session, "a"))] == [1]


async def test_without_a_transaction_nothing_is_recorded(record: Record) -> None:
    (session,) = await record.new_sessions()
    async with record.database.pool.acquire() as connection:
        with pytest.raises(RuntimeError, match="in the transaction of their change"):
            await append(connection, [happened(session, "a")], key=KEY)
    assert await record.rows() == []


async def test_no_events_cost_nothing(record: Record) -> None:
    async with record.database.pool.acquire() as connection, connection.transaction():
        queries: list[asyncpg.connection.LoggedQuery] = []
        with connection.query_logger(queries.append):
            assert await append(connection, [], key=KEY) == []
        assert queries == []


async def test_a_commit_notifies_of_its_partitions_and_a_rollback_does_not(record: Record) -> None:
    mine = await record.new_sessions(3)
    listener = await asyncpg.connect(record.dsn)
    told: list[str] = []
    try:
        await listener.add_listener(CHANNEL, lambda *arguments: told.append(str(arguments[-1])))
        with pytest.raises(Undone):
            async with record.database.pool.acquire() as connection, connection.transaction():
                await append(connection, [happened(mine[0], "undone")], key=KEY)
                raise Undone
        await record.append(*(happened(one, "a") for one in mine))
        await record.append(*(happened(one, "a") for one in mine))  # nothing new: nothing to tell
        await record.append(happened(None, "x"))
        await until(lambda: len(told) >= 2, what="two notifications")
    finally:
        await listener.close()
    rows = await record.fetch("SELECT partition FROM outbox ORDER BY id")
    partitions = [row["partition"] for row in rows]
    assert [set(map(int, one.split())) for one in told] == [set(partitions[:3]), {partitions[3]}]
    assert set(partitions) <= set(range(PARTITIONS))


async def test_a_session_is_not_held_up_by_rows_that_refer_to_it(record: Record) -> None:
    (session,) = await record.new_sessions()
    async with record.database.pool.acquire() as connection, connection.transaction():
        await append(connection, [happened(session, "a")], key=KEY)
        # An insert with a foreign key takes a share lock on the session's row.
        await record.fetch(
            "INSERT INTO requests (id, session_id, kind, state) VALUES ($1, $2, 'send', 'doing')", uuid.uuid4(), session
        )
