"""What Postgres knows, as metrics show it."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from stratavore.budgets import Budget, Period, Unit
from stratavore.snapshot import BudgetUse, Several, snapshot
from stratavore.store import budgets
from stratavore.store.database import Database
from tests.integration.events.conftest import KEY, Record, happened


@pytest.fixture
async def record(database: str) -> AsyncIterator[Record]:
    opened = await Database.open(database, KEY)
    yield Record(database, opened)
    await opened.close()


async def test_a_snapshot_of_nothing_is_zeros(record: Record) -> None:
    async with record.database.pool.acquire() as connection:
        seen = await snapshot(connection)
    assert (seen.runners, seen.ends, seen.activities, seen.sessions, seen.leases) == ({}, {}, {}, {}, {})
    assert (seen.tokens_used, seen.outbox, seen.events_dead, seen.budgets) == (0, Several(), 0, ())
    assert abs(seen.at - time.time()) < 60


async def test_a_snapshot_counts_by_status_and_state_and_sums_all_kinds_of_tokens(record: Record) -> None:
    first, second, third = await record.new_sessions(3)
    await record.fetch("UPDATE sessions SET state = 'running' WHERE id = ANY ($1::uuid[])", [first, second])
    for session, generation, status in (
        (first, 1, "failed"),
        (first, 2, "running"),
        (second, 1, "running"),
        (third, 1, "terminated"),
    ):
        await record.fetch(
            "INSERT INTO runners (id, session_id, generation, step, host, status, input_tokens, output_tokens,"
            " cache_creation_tokens, cache_read_tokens) VALUES ($1, $2, $3, $1, 'here', $4, 1, 10, 100, 5000000000)",
            f"{session}.{generation}",
            session,
            generation,
            status,
        )
    await record.fetch("UPDATE runners SET exit_kind = 'crashed', ended_at = now() WHERE status = 'failed'")
    await record.fetch(
        "UPDATE runners SET activity = 'waiting', activity_at = now() - interval '1 hour' WHERE session_id = $1", first
    )
    await record.fetch("UPDATE sessions SET updated_at = now() - interval '1 day' WHERE id = $1", first)
    await record.fetch(
        "INSERT INTO hosts (name, daemon_id, state_directory, version, boot_id, lease_expires_at)"
        " SELECT name, gen_random_uuid(), gen_random_uuid(), '', '', now() + lease FROM"
        " (VALUES ('here', interval '30 s'), ('gone', '-1 hour'), ('forgotten', '-8 days')) AS hosts (name, lease)"
    )
    await record.append(*(happened(first, key) for key in "abcd"), happened(None, "e"))
    await record.fetch("UPDATE outbox SET delivered = true WHERE id = (SELECT min(id) FROM outbox)")
    await record.fetch("UPDATE outbox SET dead = true WHERE id = (SELECT max(id) FROM outbox)")
    async with record.database.pool.acquire() as connection:
        seen = await snapshot(connection)
    assert seen.runners == {"failed": 1, "running": 2, "terminated": 1}
    assert seen.ends == {"crashed": 1}
    assert {name: several.count for name, several in seen.activities.items()} == {"waiting": 1, "starting": 1}
    assert 3600 <= seen.activities["waiting"].oldest_s < 3700
    assert {name: several.count for name, several in seen.sessions.items()} == {"running": 2, "queued": 1}
    assert 86_400 <= seen.sessions["running"].oldest_s < 86_500
    assert {host: round(expires - seen.at, -1) for host, expires in seen.leases.items()} == {"here": 30, "gone": -3600}
    assert seen.tokens_used == 4 * 5_000_000_111
    assert (seen.outbox.count, seen.events_dead) == (3, 1)
    assert 0 < seen.outbox.oldest_s < 60


async def test_a_snapshot_has_the_share_of_each_budget_and_of_sessions_own_the_fullest(record: Record) -> None:
    little, most, ended = await record.new_sessions(3)
    project, *_ = await record.fetch("SELECT id::text, name FROM projects")
    for session, tokens in ((little, 10), (most, 60), (ended, 90)):
        await record.fetch(
            "INSERT INTO runners (id, session_id, generation, step, host, status)"
            " VALUES ($1::uuid::text || '.1', $1, 1, '1', 'here', 'running')",
            session,
        )
        await record.fetch(
            "INSERT INTO usage (session_id, message_id, runner_id, at, input_tokens, output_tokens,"
            " cache_creation_tokens, cache_read_tokens) VALUES ($1, 'm', $1::uuid::text || '.1', now(), $2, 0, 0, 0)",
            session,
            tokens,
        )
    async with record.database.transaction("test") as transaction:
        connection = transaction.connection
        everybody = Budget(Unit.TOKENS, Period.MONTHLY, Decimal(200))
        await budgets.set_budget(connection, "global", "", everybody)
        id_ = await budgets.set_budget(connection, "project", project["id"], Budget(Unit.USD, Period.DAILY, Decimal(5)))
        await budgets.give(connection, id_, Decimal(1))
        for session in (little, most, ended):
            await budgets.set_budget(connection, "session", session, Budget(Unit.TOKENS, Period.MONTHLY, Decimal(40)))
    await record.fetch("UPDATE sessions SET state = 'ended' WHERE id = $1", ended)
    async with record.database.pool.acquire() as connection:
        seen = await snapshot(connection)
    assert sorted(seen.budgets, key=lambda one: one.scope) == [
        BudgetUse("global", "", "tokens", "monthly", 0.8),
        BudgetUse("project", project["name"], "usd", "daily", 0.0),
        BudgetUse("session", project["name"], "tokens", "monthly", 1.5),
    ]
