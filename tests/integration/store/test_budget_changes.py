"""Budgets that people change while they are charged, and what is known of them afterwards."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from stratavore.budgets import Action, Budget, Period, Unit
from stratavore.store import budgets, projects
from stratavore.store.budgets import Crossing
from tests.integration.store.steps import Session, Store
from tests.support.waiting import answer

BUDGET = Budget(Unit.TOKENS, Period.DAILY, Decimal(100))


async def set_budget(store: Store, budget: Budget = BUDGET) -> str:
    async with store.database.transaction("test") as transaction:
        return await budgets.set_budget(transaction.connection, "global", "", budget)


async def cross(store: Store) -> list[Crossing]:
    async with store.database.transaction("test") as transaction:
        return await budgets.cross(transaction.connection)


async def somebody_waits_for_a_lock(store: Store) -> None:
    async def look() -> bool:
        return bool(await store.fetch("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"))

    await answer(look, what="somebody who waits for a lock")


async def test_what_is_given_while_somebody_looks_is_not_told_to_be_used_up(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    budget = await set_budget(store)
    await store.use_tokens(runner, 100)
    async with store.database.transaction("test") as transaction:
        await budgets.lock(transaction.connection)
        await budgets.give(transaction.connection, budget, None)
        looking = asyncio.create_task(cross(store))
        await somebody_waits_for_a_lock(store)
    assert await looking == []
    await store.use_tokens(runner, 100)
    (told,) = await cross(store)
    assert (told.warns, told.ends, told.extra) == (True, True, Decimal(100))


async def test_a_charge_does_not_find_its_budget_taken_away_under_it(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await set_budget(store)
    await store.fetch("DELETE FROM budget_periods")  # the charge is the first one
    async with store.database.transaction("test") as transaction:
        await budgets.unset(transaction.connection, "global", "")
        charging = asyncio.create_task(store.use_tokens(runner, 1))
        await somebody_waits_for_a_lock(store)
    await charging


async def test_a_period_before_the_budget_is_not_shown_with_a_part_of_its_use(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await store.use_tokens(runner, 30, at=yesterday)
    await set_budget(store)
    await store.use_tokens(runner, 20, at=yesterday)  # read late
    await store.use_tokens(runner, 5)
    async with store.database.pool.acquire() as connection:
        (present,) = await budgets.history(connection)
    assert present.used == 5
    await store.fetch("UPDATE budgets SET set_at = set_at - interval '2 days'")
    await store.use_tokens(runner, 3, at=yesterday)
    async with store.database.pool.acquire() as connection:
        assert [one.used for one in await budgets.history(connection)] == [5, 3]


async def test_what_a_deleted_project_used_stays_used_when_the_budget_is_changed(store: Store) -> None:
    project = await store.project()
    await store.use_tokens((await store.runner(Session(project))).runner_id, 70)
    await set_budget(store)
    async with store.database.transaction("test") as transaction:
        await projects.delete(transaction.connection, project.project_id)
    await set_budget(store, Budget(Unit.TOKENS, Period.DAILY, Decimal(90), action=Action.ASK))
    async with store.database.pool.acquire() as connection:
        (view,) = await budgets.views(connection)
    assert (view.used, view.amount, view.action) == (70, 90, "ask")
