"""Limits of providers: known of an account, for all of its sessions."""

from datetime import UTC, datetime, timedelta

import pytest

from stratavore.agents.adapter import Account, Limit
from stratavore.models.session import Hold
from stratavore.store import accounts, holds
from tests.integration.store.steps import HOST, OPERATOR, Session, Store

NOW = datetime.now(UTC).replace(microsecond=0)
PLAN = Account("anthropic", "the login abc")
LATER = NOW + timedelta(hours=2)


@pytest.fixture
async def session(store: Store) -> Session:
    """One that runs, and spends the plan."""
    return await _session(store, "site")


async def _session(store: Store, project: str, account: Account = PLAN) -> Session:
    made = Session(await store.project(project))
    await store.runner(made)
    async with store.database.transaction("test") as transaction:
        await accounts.of_session(transaction.connection, made.session_id, account)
    return made


async def limited(store: Store, session: Session, at: datetime, until: datetime | None) -> tuple[Hold, bool]:
    async with store.database.transaction("test") as transaction:
        found = await accounts.limit(transaction.connection, session.session_id, Limit(at, until, "You've hit it"))
    assert found is not None
    return found


async def holding(store: Store, session: Session) -> Hold | None:
    async with store.database.pool.acquire() as connection:
        return await holds.holding(connection, session.session_id)


async def test_a_limit_with_a_time_holds_all_sessions_of_its_account(store: Store, session: Session) -> None:
    other = await _session(store, "other")
    stranger = await _session(store, "third", Account("anthropic", "the login def"))
    hold, changed = await limited(store, session, NOW, LATER)
    assert changed
    assert hold.reason == f"its provider lets the login abc go on at {LATER:%Y-%m-%d %H:%M:%S} UTC: You've hit it"
    assert hold.until is not None
    assert LATER <= hold.until <= LATER + accounts.STAGGER
    assert await holding(store, session) == hold
    shared = await holding(store, other)
    assert shared is not None
    assert shared.cause == hold.cause
    assert await holding(store, stranger) is None


async def test_the_same_limit_is_told_once(store: Store, session: Session) -> None:
    """Its hook tells the minute, its transcript the second; another session is told of it a moment later."""
    other = await _session(store, "other")
    hold, _ = await limited(store, session, NOW, LATER)
    for one, at, until in ((session, NOW, LATER), (other, NOW + timedelta(seconds=5), LATER + timedelta(seconds=40))):
        again, changed = await limited(store, one, at, until)
        assert not changed
        assert again.cause == hold.cause
    longer, changed = await limited(store, other, NOW + timedelta(minutes=1), LATER + timedelta(days=3))
    assert changed
    assert longer.cause != hold.cause


async def test_a_limit_of_the_past_holds_nobody(store: Store, session: Session) -> None:
    await limited(store, session, NOW - timedelta(hours=3), NOW - timedelta(hours=1))
    assert await holding(store, session) is None


async def test_limits_without_a_time_are_waited_out_longer_and_longer(store: Store, session: Session) -> None:
    at, waits = NOW, []
    for _ in range(8):
        hold, changed = await limited(store, session, at, None)
        assert changed
        assert hold.until is not None
        (row,) = await store.fetch("SELECT limited_until FROM accounts")
        waits.append((row["limited_until"] - at) / timedelta(minutes=1))
        _, changed = await limited(store, session, at + timedelta(seconds=30), None)  # another one, meanwhile
        assert not changed
        at = row["limited_until"] + timedelta(seconds=20)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_an_answer_ends_a_limit_without_a_time_and_no_other(store: Store, session: Session) -> None:
    async def answered(at: datetime) -> bool:
        await store.fetch("UPDATE runners SET turn_ended_at = $1, turn_failed = false", at)
        async with store.database.pool.acquire() as connection:
            assert not await accounts.answered(connection, "elsewhere")
            return await accounts.answered(connection, HOST)

    now = datetime.now(UTC)
    await limited(store, session, now, None)
    assert not await answered(now - timedelta(seconds=1))
    assert await holding(store, session)
    assert await answered(now + timedelta(seconds=1))
    assert await holding(store, session) is None
    await limited(store, session, now + timedelta(minutes=2), LATER)
    assert not await answered(now + timedelta(minutes=3))
    assert await holding(store, session)


async def test_an_operator_passes_a_limit_until_it_ends(store: Store, session: Session) -> None:
    await limited(store, session, NOW, LATER)
    await store.do(session.admit(god=OPERATOR))
    assert await holding(store, session) is None
    await limited(store, session, NOW + timedelta(minutes=1), LATER + timedelta(hours=1))
    assert await holding(store, session)


async def test_who_waits_for_its_account_is_free_when_the_limit_is_over(store: Store, session: Session) -> None:
    await limited(store, session, NOW, LATER)
    assert (await store.admitted(session)).hold
    async with store.database.pool.acquire() as connection:
        assert await holds.free(connection) == []
        await connection.execute("UPDATE accounts SET limited_until = now()")
        assert await holds.free(connection) == [session.session_id]
