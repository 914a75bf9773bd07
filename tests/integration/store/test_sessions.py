"""Sessions in Postgres: opened by each workflow once, found by the beginning of their ids."""

import uuid

import pytest

from stratavore.models.session import LaunchSpec
from stratavore.models.states import SessionState
from stratavore.store import sessions
from tests.integration.store.steps import MEMORY, SPEC, TOKENS, Session, Store


async def opened(store: Store, session: Session, incarnation: str, spec: LaunchSpec = SPEC) -> bool:
    async with store.database.transaction("test") as transaction:
        return await sessions.open_session(
            transaction.connection, session.session_id, session.project.project_id, spec, incarnation
        )


async def row(store: Store, session: Session) -> dict[str, object]:
    (found,) = await store.fetch("SELECT * FROM sessions WHERE id = $1", session.session_id)
    return dict(found)


async def be(store: Store, session: Session, state: SessionState, reason: str | None) -> None:
    async with store.database.transaction("test") as transaction:
        await sessions.set_state(transaction.connection, session.session_id, state, reason)


async def test_the_same_workflow_opens_its_session_once(store: Store) -> None:
    session = Session(await store.project())
    assert await opened(store, session, "first")
    for state in (SessionState.QUEUED, SessionState.RUNNING, SessionState.RECOVERING, SessionState.ENDED):
        await be(store, session, state, "because")
        before = await row(store, session)
        assert not await opened(store, session, "first")
        assert await row(store, session) == before


async def test_a_new_workflow_takes_up_an_ended_session_and_leaves_a_live_one_as_it_is(store: Store) -> None:
    session = Session(await store.project())
    await opened(store, session, "first")
    await be(store, session, SessionState.ENDED, "ended on request")
    assert (await row(store, session))["ended_at"] is not None
    assert await opened(store, session, "second")
    found = await row(store, session)
    assert (found["state"], found["reason"], found["ended_at"]) == ("queued", None, None)
    assert found["incarnation"] == "second"
    # Its workflow was terminated by hand; its agent lives.
    await be(store, session, SessionState.RUNNING, None)
    assert await opened(store, session, "third")
    assert (await row(store, session))["state"] == "running"


async def test_a_new_session_has_the_limits_of_its_launch_and_one_taken_up_again_those_that_people_set(
    store: Store,
) -> None:
    session = Session(await store.project())
    spec = SPEC.model_copy(update={"limits": {TOKENS: 5, MEMORY: 300}})

    async def limited() -> dict[str, int]:
        rows = await store.fetch(
            "SELECT name, value FROM limits WHERE scope = 'session' AND scope_id = $1", session.session_id
        )
        return {row["name"]: row["value"] for row in rows}

    assert await opened(store, session, "first", spec)
    assert await limited() == {TOKENS: 5, MEMORY: 300}
    await store.limit(session, 6, TOKENS)
    await store.limit(session, None, MEMORY)
    await be(store, session, SessionState.ENDED, "ended on request")
    assert await opened(store, session, "second", spec)
    assert await limited() == {TOKENS: 6}


@pytest.mark.parametrize("rests", [SessionState.PAUSED, SessionState.PARKED])
async def test_a_session_that_rested_is_queued_until_it_is_placed(store: Store, rests: SessionState) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    await store.do(session.record(rests, first.runner_id))
    assert (await store.admitted(session)).granted
    assert (await row(store, session))["state"] == "queued"
    assert (await store.placed(session)).generation == 2
    told = await store.fetch("SELECT type FROM events WHERE session_id IS NOT NULL ORDER BY sequence")
    assert [one["type"] for one in told] == [
        "session.created",
        "runner.failed",
        f"session.{rests}",
    ]


async def test_the_time_of_an_end_stays_and_goes_with_it(store: Store) -> None:
    session = Session(await store.project())
    await opened(store, session, "first")
    await be(store, session, SessionState.ENDED, "one")
    ended = (await row(store, session))["ended_at"]
    await be(store, session, SessionState.ENDED, "two")
    assert (await row(store, session))["ended_at"] == ended
    await be(store, session, SessionState.QUEUED, None)
    assert (await row(store, session))["ended_at"] is None


async def test_views_tell_the_place_in_line_of_those_who_wait(store: Store) -> None:
    project, other = await store.project("site"), await store.project("other")
    await store.limit(None, 1)
    line = [Session(project), Session(other), Session(project)]
    for session in line:
        await store.admitted(session)
    async with store.database.pool.acquire() as connection:
        everything = await sessions.views(connection)
        of_site = await sessions.views(connection, project="site")
        assert await sessions.state_of(connection, line[0].session_id) is SessionState.QUEUED
        assert await sessions.state_of(connection, str(uuid.uuid4())) is None
    assert [(one.session_id, one.position) for one in everything] == [
        (session.session_id, position) for session, position in zip(line, (None, 1, 2), strict=True)
    ]
    assert [one.position for one in of_site] == [None, 2]
    await store.do(line[1].record(SessionState.ENDED))
    async with store.database.pool.acquire() as connection:
        assert [one.session_id for one in await sessions.views(connection, ended=False)] == [
            line[0].session_id,
            line[2].session_id,
        ]
        assert len(await sessions.views(connection, ended=True)) == 3


ID = "0ab12345-6789-4abc-8def-000000000001"


@pytest.mark.parametrize("length", [1, 7, 8, 9, 13, 14, 18, 23, 24, 35, 36])
async def test_an_id_is_found_by_every_beginning_of_it(store: Store, length: int) -> None:
    session = Session(await store.project(), ID)
    other = Session(session.project, "f" + ID[1:])
    for one in (session, other):
        await opened(store, one, "first")
    async with store.database.pool.acquire() as connection:
        assert await sessions.matching(connection, ID[:length]) == [ID]


NO_BEGINNING = ["%", "_", "0%", "0ab_", "0ab12345_", "0ab1-2345", "-", "0AB", "{0ab", "0ab\\", "g", ID + "0", "0\0"]


@pytest.mark.parametrize("prefix", NO_BEGINNING)
async def test_what_begins_no_id_finds_nothing(store: Store, prefix: str) -> None:
    await opened(store, Session(await store.project(), ID), "first")
    async with store.database.pool.acquire() as connection:
        assert await sessions.matching(connection, prefix) == []


async def test_at_most_six_ids_are_found_newest_first(store: Store) -> None:
    project = await store.project()
    ids = [f"{ID[:-1]}{digit}" for digit in range(8)]
    for one in ids:
        await opened(store, Session(project, one), "first")
    async with store.database.pool.acquire() as connection:
        assert await sessions.matching(connection, "0ab") == ids[:1:-1]
        assert len(await sessions.matching(connection, "")) == 6
