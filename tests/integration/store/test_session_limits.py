"""Limits of a session's own: it waits for them by itself, and holds up nobody."""

from datetime import UTC, datetime, timedelta

from stratavore.models.states import SessionState
from stratavore.models.steps import Admission
from stratavore.store import holds, limits
from tests.integration.store.steps import LIMIT, MEMORY, OPERATOR, TOKENS, Session, Store


async def free(store: Store) -> list[str]:
    """Who was held and is not any more."""
    async with store.database.pool.acquire() as connection:
        return await holds.free(connection)


async def spent(store: Store, session: Session, tokens: int) -> None:
    """Let it have run, used so much today, and been put away."""
    runner = await store.runner(session)
    await store.use_tokens(runner.runner_id, tokens)
    await store.use_tokens(runner.runner_id, 1000, at=datetime.now(UTC) - timedelta(days=1))
    await store.do(session.record(SessionState.PAUSED, runner.runner_id))


async def test_a_session_whose_tokens_of_the_day_are_used_waits_apart_from_the_line(store: Store) -> None:
    project = await store.project()
    mine, inside, behind = Session(project), Session(project), Session(project)
    await spent(store, mine, 5)
    await store.limit(project, 1)
    await store.limit(mine, 6, TOKENS)
    assert (await store.admitted(mine)).granted
    await store.do(mine.record(SessionState.PAUSED))
    await store.limit(mine, 5, TOKENS)
    await store.admitted(inside)
    step = mine.admit()
    held, again = await store.do(step), await store.do(step)
    assert isinstance(held, Admission)
    assert held.hold is not None
    assert (held.granted, held.hold.state) == (False, SessionState.LIMITED)
    assert held.hold.reason.startswith("5 of 5 tokens used today by this session; it goes on at ")
    assert held.hold.until is not None
    assert held.hold.until > datetime.now(UTC)
    assert again == held
    assert (await store.admitted(behind)).position == 1
    answer = await store.do(inside.record(SessionState.ENDED))
    assert getattr(answer, "grants", None) == (behind.session_id,)
    assert await free(store) == []
    await store.limit(mine, 6, TOKENS)
    assert await free(store) == [mine.session_id]
    assert (await store.admitted(mine)).position == 1


async def test_one_that_waits_in_line_leaves_it_when_it_gets_a_limit_that_holds_it(store: Store) -> None:
    project = await store.project()
    mine, inside, behind = Session(project), Session(project), Session(project)
    await spent(store, mine, 5)
    await store.limit(project, 1)
    await store.admitted(inside)
    assert (await store.admitted(mine)).position == 1
    assert (await store.admitted(behind)).position == 2
    await store.limit(mine, 1, TOKENS)
    assert (await store.admitted(mine)).hold is not None
    assert (await store.admitted(behind)).position == 1
    # The operator's way past it.
    answer = await store.do(mine.admit(god=OPERATOR))
    assert answer == Admission(granted=True)


async def test_a_session_shows_its_limits_and_what_it_used_of_them(store: Store) -> None:
    mine, other = Session(await store.project("site")), Session(await store.project("other"))
    runner = await store.runner(mine)
    await store.use_tokens(runner.runner_id, 7)
    await store.use_memory(runner.runner_id, 99.5)
    await store.runner(other)
    await store.limit(mine, 50, MEMORY)
    await store.limit(other, 50, MEMORY)
    async with store.database.pool.acquire() as connection:
        own = await limits.views_of_sessions(connection, session_id=mine.session_id)
        of_project = await limits.views_of_sessions(connection, "site")
        everything = await limits.views_of_sessions(connection)
        shared = await limits.views(connection, "site")
    assert [(one.scope, one.project, one.name, one.limit, one.used) for one in own] == [
        ("session", "site", MEMORY, 50, 100),
        ("session", "site", TOKENS, None, 7),
    ]
    assert of_project == own[:1]
    assert {one.session_id for one in everything} == {mine.session_id, other.session_id}
    assert {one.name for one in shared} == {LIMIT, MEMORY, TOKENS}
    assert all(one.session_id is None for one in shared)
