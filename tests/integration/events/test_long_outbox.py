"""Of very many marks of deliveries, who looks every few seconds reads none, and all go when it is time."""

from datetime import timedelta

from stratavore.store import events, health, leftovers
from tests.integration.events.conftest import Record

KEPT = timedelta(days=7)


async def fill(record: Record, count: int, mark: str) -> None:
    """Events that were recorded after all others, each marked as an assignment to columns of the outbox says."""
    await record.fetch(
        "WITH new AS (INSERT INTO events (id, sequence, key, type, project, time, data, signature)"
        " SELECT gen_random_uuid(), 0, gen_random_uuid()::text, 'system.alert', '', now() - interval '1 minute', '{}',"
        " ''"
        f" FROM generate_series(1, {count}) RETURNING id)"
        " INSERT INTO outbox (event_id, partition) SELECT id, 3 FROM new"
    )
    if mark:
        newest = f"SELECT id FROM outbox ORDER BY id DESC LIMIT {count}"
        await record.fetch(f"UPDATE outbox SET {mark} WHERE id IN ({newest})")


async def test_what_waits_is_counted_without_reading_what_was_delivered(record: Record) -> None:
    await fill(record, 100_000, "delivered = true, delivered_at = now()")
    await fill(record, 3, "dead = true")
    await fill(record, 5, "")
    await record.fetch("VACUUM ANALYZE outbox")
    for statement in (health.SQL.outbox, events.SQL.undelivered):
        plan = "\n".join(row[0] for row in await record.fetch(f"EXPLAIN {statement}"))
        assert "Seq Scan on outbox" not in plan, plan
        read = "\n".join(row[0] for row in await record.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING off) {statement}"))
        assert "Rows Removed" not in read, read
    async with record.database.pool.acquire() as connection:
        assert await events.undelivered(connection) == 8
        found = await health.outbox(connection)
    assert (found.waiting, found.dead) == (5, 3)
    assert found.oldest_s is not None
    assert 60 <= found.oldest_s < 600


async def test_all_marks_that_were_kept_long_enough_go_at_once_whatever_stands_before_them(record: Record) -> None:
    await fill(record, 10_000, "dead = true")
    await fill(record, 25_000, "delivered = true, delivered_at = now() - interval '8 days'")
    await fill(record, 5, "delivered = true, delivered_at = now() - interval '6 days'")
    await fill(record, 5, "")
    async with record.database.pool.acquire() as connection:
        assert await leftovers.forget_delivered(connection, KEPT) == 25_000
        assert await leftovers.forget_delivered(connection, KEPT) == 0
        statement = f"EXPLAIN {leftovers.SQL.delivered}"
        await connection.execute("ANALYZE outbox")
        plan = "\n".join(row[0] for row in await connection.fetch(statement, KEPT, leftovers.AT_ONCE))
    assert "outbox_delivered" in plan, plan
    left = await record.fetch("SELECT delivered, dead, count(*) AS n FROM outbox GROUP BY 1, 2 ORDER BY 1, 2")
    assert [tuple(row) for row in left] == [(False, False, 5), (False, True, 10_000), (True, False, 5)]
