"""Budgets: what is charged to them, when they hold, and what their periods are."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratavore.budgets import Action, Budget, Period, Unit
from stratavore.models.states import RunnerStatus, SessionState
from stratavore.models.steps import Admission, Recorded
from stratavore.models.views import BudgetView
from stratavore.store import budgets, holds
from stratavore.store.budgets import Charge, Crossing
from tests.integration.store.steps import HOST, OPERATOR, Session, Store

NOW = datetime.now(UTC)
BUDGET = Budget(Unit.TOKENS, Period.DAILY, Decimal(100))


async def set_budget(store: Store, budget: Budget = BUDGET, scope: str = "global", scope_id: str = "") -> str:
    async with store.database.transaction("test") as transaction:
        return await budgets.set_budget(transaction.connection, scope, scope_id, budget)


async def used(store: Store) -> dict[str, Decimal]:
    rows = await store.fetch("SELECT budget_id::text, sum(used) AS used FROM budget_periods GROUP BY 1")
    return {row["budget_id"]: row["used"] for row in rows}


async def crossed(store: Store) -> list[Crossing]:
    async with store.database.transaction("test") as transaction:
        return await budgets.cross(transaction.connection)


async def free(store: Store) -> list[str]:
    async with store.database.pool.acquire() as connection:
        return await holds.free(connection)


async def give(store: Store, budget_id: str, amount: int | None = None) -> None:
    async with store.database.transaction("test") as transaction:
        await budgets.give(transaction.connection, budget_id, None if amount is None else Decimal(amount))


async def test_a_reply_is_charged_once_to_every_budget_that_it_falls_under(store: Store) -> None:
    mine, other = Session(await store.project()), Session(await store.project("other"))
    runner, others = (await store.runner(mine)).runner_id, (await store.runner(other)).runner_id
    in_all = await set_budget(store)
    in_project = await set_budget(store, scope="project", scope_id=mine.project.project_id)
    in_session = await set_budget(store, scope="session", scope_id=mine.session_id)
    dollars = await set_budget(store, Budget(Unit.USD, Period.MONTHLY, Decimal("2.5")))
    await store.use_tokens(runner, 10, message="m", cost=Decimal("0.5"))
    await store.use_tokens(runner, 30, message="m", cost=Decimal("1.25"))  # the same reply, whole
    await store.use_tokens(runner, 30, message="m", cost=Decimal("1.25"))  # and read again
    await store.use_tokens(others, 5)
    assert await used(store) == {in_all: 35, in_project: 30, in_session: 30, dollars: Decimal("1.25")}


async def test_a_new_budget_has_what_was_used_in_its_present_period_before(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await store.use_tokens(runner, 7, at=NOW - timedelta(days=40))
    await store.use_tokens(runner, 30)
    budget = await set_budget(store)
    assert await used(store) == {budget: 30}
    await store.use_tokens(runner, 2, at=NOW - timedelta(days=40))  # read late: of another period
    (view,) = await views(store)
    assert (view.used, view.used_up) == (30, False)


async def views(store: Store) -> list[BudgetView]:
    async with store.database.pool.acquire() as connection:
        return await budgets.views(connection)


async def test_nothing_is_lost_or_doubled_while_budgets_are_set_beside_charges(store: Store) -> None:
    runners = [(await store.runner(Session(await store.project(f"p{n}")))).runner_id for n in range(4)]

    async def spend(runner: str) -> None:
        for _ in range(25):
            await store.use_tokens(runner, 1)

    async def set_them() -> None:
        for period in Period:
            for unit in Unit:
                await asyncio.sleep(0)
                await set_budget(store, Budget(unit, period, Decimal(1000)))
                await set_budget(store, Budget(unit, period, Decimal(1001)))

    await asyncio.gather(*map(spend, runners), set_them())
    found = {(view.unit, view.period): view.used for view in await views(store)}
    assert found == {(unit, period): (100 if unit is Unit.TOKENS else 0) for unit in Unit for period in Period}


async def test_each_action_holds_in_its_way_and_a_warning_does_not(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await store.use_tokens(runner, 120)
    expected = [
        (Action.WARN, None),
        (Action.PAUSE, SessionState.LIMITED),
        (Action.ASK, SessionState.ASKING),
        (Action.TERMINATE, SessionState.ENDED),
    ]
    for action, state in expected:
        await set_budget(store, Budget(Unit.TOKENS, Period.DAILY, Decimal(100), action=action))
        async with store.database.pool.acquire() as connection:
            hold = await holds.holding(connection, session.session_id)
        assert (hold.state if hold else None) == state
        if hold:
            assert hold.reason.startswith("the budget of 100 tokens a day is used up (120 tokens were used)")


async def test_a_held_session_gives_its_place_back_and_is_told_once(store: Store) -> None:
    project = await store.project()
    first, second = Session(project), Session(project)
    runner = (await store.runner(first)).runner_id
    await store.use_tokens(runner, 100)
    budget = await set_budget(store, scope="session", scope_id=first.session_id)
    await store.limit(project, 1)
    assert (await store.admitted(second)).position == 1
    record = first.record(SessionState.LIMITED, runner, RunnerStatus.PAUSED)
    async with store.database.pool.acquire() as connection:
        hold = await holds.holding(connection, first.session_id)
    record = record.model_copy(update={"hold": hold})
    answer = await store.do(record)
    assert isinstance(answer, Recorded)
    assert answer.grants == (second.session_id,)
    request = first.admit()
    held = await store.do(request)
    assert isinstance(held, Admission)
    assert held.hold == hold
    assert not held.granted
    await give(store, budget)
    assert await store.do(request) == held  # the same step again
    assert await free(store) == [first.session_id]
    assert (await store.admitted(first)).position == 1
    events = await store.fetch("SELECT type FROM events WHERE session_id = $1 ORDER BY sequence", first.session_id)
    types = [row["type"] for row in events if row["type"].startswith("session.")]
    assert types == ["session.created", "session.limited"]


async def test_a_session_is_told_each_time_that_it_begins_to_be_held(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await store.use_tokens(runner, 100)
    await set_budget(store, scope="session", scope_id=session.session_id)

    async def told() -> list[str]:
        rows = await store.fetch(
            "SELECT type FROM events WHERE session_id = $1 AND data ? 'cause' ORDER BY sequence", session.session_id
        )
        return [row["type"] for row in rows]

    async with store.database.pool.acquire() as connection:
        hold = await holds.holding(connection, session.session_id)
    put_away = session.record(SessionState.LIMITED, runner, RunnerStatus.PAUSED)
    await store.do(put_away.model_copy(update={"hold": hold}))
    for _ in range(3):  # it looks again, and is held by the same
        await store.admitted(session)
    assert await told() == ["session.limited"]
    await store.do(session.record(SessionState.PAUSED))
    resumed = session.admit(resumes=True)
    for _ in range(2):
        await store.do(resumed)
    await store.admitted(session)
    assert await told() == ["session.limited"] * 2
    asks = Budget(Unit.TOKENS, Period.DAILY, Decimal(100), action=Action.ASK)
    await set_budget(store, asks, scope="session", scope_id=session.session_id)
    for _ in range(2):
        await store.admitted(session)
    assert await told() == ["session.limited"] * 2 + ["session.asking"]


async def test_who_does_not_want_to_wait_is_refused_by_a_budget_too(store: Store) -> None:
    session = Session(await store.project())
    await store.use_tokens((await store.runner(session)).runner_id, 100)
    await set_budget(store)
    refused = await store.admitted(Session(session.project), no_queue=True)
    assert refused.refused
    assert refused.refused.startswith("the budget of 100 tokens a day is used up; it goes on at ")


async def test_an_operator_passes_budgets_until_their_periods_end(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await store.use_tokens(runner, 100)
    await set_budget(store, Budget(Unit.TOKENS, Period.HOURLY, Decimal(100)))
    await set_budget(store, Budget(Unit.TOKENS, Period.DAILY, Decimal(50), action=Action.ASK))
    other = Session(session.project)
    answer = await store.do(other.admit(god=OPERATOR))
    assert isinstance(answer, Admission)
    assert answer.granted
    async with store.database.pool.acquire() as connection:
        assert await holds.holding(connection, other.session_id) is None
        assert await holds.holding(connection, session.session_id)
    (event,) = await store.fetch("SELECT data FROM events WHERE type = 'system.god'")
    assert event["data"]["passed"].startswith("the budget of 50 tokens a day is used up (100 tokens were used)")
    await store.fetch("UPDATE budget_passes SET starts_at = starts_at - interval '1 year'")
    async with store.database.pool.acquire() as connection:
        assert await holds.holding(connection, other.session_id)


async def test_what_people_give_counts_from_what_was_used(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await store.use_tokens(runner, 250)
    budget = await set_budget(store)
    for amount, left in ((None, 100), (30, 30)):
        await give(store, budget, amount)
        (view,) = await views(store)
        assert view.amount + view.extra - view.used == left
    await store.use_tokens(runner, 30)
    (view,) = await views(store)
    assert view.used_up


async def test_each_crossing_is_told_once_whoever_asks(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    budget = await set_budget(store)
    assert not await crossed(store)
    await store.use_tokens(runner, 80)
    several = await asyncio.gather(*(crossed(store) for _ in range(4)))
    ((warning,),) = [found for found in several if found]
    assert (warning.budget_id, warning.warns, warning.ends) == (budget, True, False)
    await store.use_tokens(runner, 20)
    (end,) = await crossed(store)
    assert (end.warns, end.ends) == (False, True)
    assert not await crossed(store)
    await give(store, budget)
    assert not await crossed(store)
    await store.use_tokens(runner, 100)
    (both,) = await crossed(store)
    assert (both.warns, both.ends) == (True, True)


async def test_overdrawn_runners_are_due_at_the_end_of_their_turn_or_of_the_grace(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await store.fetch("UPDATE runners SET started_at = now(), activity = 'busy'")
    await store.fetch("UPDATE sessions SET state = 'running'")
    await set_budget(store, Budget(Unit.TOKENS, Period.DAILY, Decimal(100), grace=timedelta(minutes=5)))

    async def due() -> list[bool]:
        async with store.database.pool.acquire() as connection:
            return [one.due for one in await budgets.overdrawn(connection, HOST)]

    assert await due() == []
    await store.use_tokens(runner, 100)
    await crossed(store)
    assert await due() == [False]
    await store.fetch("UPDATE runners SET activity = 'idle'")
    assert await due() == [True]
    await store.fetch("UPDATE runners SET activity = 'busy'")
    await store.fetch("UPDATE budget_periods SET reached_at = now() - interval '5 minutes'")
    assert await due() == [True]
    async with store.database.pool.acquire() as connection:
        assert await budgets.overdrawn(connection, "elsewhere") == []
        (one,) = await budgets.overdrawn(connection, HOST)
    assert (one.runner_id, one.session_id, one.generation) == (runner, session.session_id, 1)


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Santiago"]
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


async def test_periods_are_those_of_the_clock_in_their_zone_across_its_changes(store: Store) -> None:
    """Compared with Python's own database of time zones."""

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(list(Period)))
    def compare(at: datetime, zone: str, period: Period) -> None:
        cases.append((at, zone, period))

    cases: list[tuple[datetime, str, Period]] = []
    compare()
    for zone, day in [("Europe/Berlin", datetime(2026, 3, 29)), ("Europe/Berlin", datetime(2026, 10, 25))]:
        cases += [
            (day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) + timedelta(minutes=20 * step), zone, period)
            for step in range(80)
            for period in Period
        ]
    for at, zone, period in cases:
        (row,) = await store.fetch(
            "SELECT start, period_end($1, $2, start) AS end FROM period_start($1, $2, $3) AS start", period, zone, at
        )
        start, end = row["start"], row["end"]
        assert start <= at < end, (at, zone, period)
        local = start.astimezone(ZoneInfo(zone))
        if period is Period.HOURLY:
            assert (local.minute, local.second, end - start) == (0, 0, timedelta(hours=1))
            continue
        date = at.astimezone(ZoneInfo(zone)).date()
        first = {
            Period.DAILY: date,
            Period.WEEKLY: date - timedelta(days=date.weekday()),
            Period.MONTHLY: date.replace(day=1),
        }[period]
        assert local.date() == first
        midnight = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
        assert start == midnight.astimezone(UTC) or local.hour == 1  # clocks skipped midnight
        following = await store.fetch("SELECT period_start($1, $2, $3) AS start", period, zone, end)
        assert following[0]["start"] == end


async def test_charges_over_weeks_fall_into_their_own_periods(store: Store) -> None:
    session = Session(await store.project())
    await store.runner(session)
    zone = "Europe/Berlin"
    await set_budget(store, Budget(Unit.TOKENS, Period.DAILY, Decimal(10), timezone=zone))
    first = datetime(2026, 3, 25, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    await store.fetch("UPDATE budgets SET set_at = $1", first)
    hours = 24 * 21
    charges = [Charge(session.session_id, first + timedelta(hours=hour), 1, Decimal(0)) for hour in range(hours)]
    async with store.database.transaction("test") as transaction:
        await budgets.charge(transaction.connection, charges)
    rows = await store.fetch("SELECT starts_at, used FROM budget_periods WHERE used > 0 ORDER BY 1")
    days = {row["starts_at"].astimezone(ZoneInfo(zone)).date().isoformat(): row["used"] for row in rows}
    assert days.pop("2026-03-29") == 23  # the night in which clocks skip an hour
    assert days.pop("2026-04-15") == 1
    assert set(days.values()) == {24}
    assert sum(row["used"] for row in rows) == hours


async def test_a_budget_that_is_taken_away_lets_everyone_go_on(store: Store) -> None:
    session = Session(await store.project())
    await store.use_tokens((await store.runner(session)).runner_id, 100)
    await set_budget(store)
    held = Session(session.project)
    assert (await store.admitted(held)).hold
    assert await free(store) == []
    async with store.database.transaction("test") as transaction:
        assert len(await budgets.unset(transaction.connection, "global", "")) == 1
    assert await free(store) == [held.session_id]


async def test_who_was_put_away_first_goes_on_first(store: Store) -> None:
    project = await store.project()
    first = Session(project)
    await store.use_tokens((await store.runner(first)).runner_id, 100)
    budget = await set_budget(store)
    waiting = [Session(project, session_id=str(uuid.uuid4())) for _ in range(5)]
    for one in waiting:
        assert (await store.admitted(one)).hold
    assert (await store.admitted(waiting[0])).hold  # who looks again does not lose its place
    await give(store, budget)
    assert await free(store) == [one.session_id for one in waiting]
