"""What a person types, and which session is meant by it."""

import pytest

from stratavore import targets
from stratavore.errors import AmbiguousTarget, NoLiveSession, UnknownProject, UnknownTarget
from stratavore.models.states import SessionState
from tests.integration.store.conftest import store as store
from tests.integration.store.steps import Session, Store

ONE = "aaaa1111-0000-4000-8000-000000000001"
TWO = "aaaa1111-0000-4000-8000-000000000002"
THREE = "aaaa1122-0000-4000-8000-000000000003"
FOUR = "aaaa1133-0000-4000-8000-000000000004"


async def sessions_of(store: Store, name: str, *ids: str) -> list[Session]:
    project = await store.project(name)
    made = [Session(project, one) for one in ids]
    for session in made:
        await store.admitted(session)
    return made


async def one(store: Store, target: str, *, live: bool = False) -> str:
    async with store.database.pool.acquire() as connection:
        return (await targets.one(connection, target, live=live)).session_id


async def all_of(store: Store, target: str) -> list[str]:
    async with store.database.pool.acquire() as connection:
        return [view.session_id for view in await targets.all_of(connection, target)]


@pytest.mark.parametrize("target", [THREE, "aaaa1122", "aaaa112", "AAAA1122", f"{THREE}.1", "aaaa1122.17", THREE[:20]])
async def test_a_session_is_meant_by_its_id_or_the_beginning_of_it(store: Store, target: str) -> None:
    await sessions_of(store, "site", ONE, TWO, THREE)
    assert await one(store, target) == THREE
    assert await all_of(store, target) == [THREE]


@pytest.mark.parametrize(
    ("target", "candidates"),
    [
        ("aaaa1111", f"{ONE} or {TWO}"),
        (f"{ONE[:35]}", f"{ONE} or {TWO}"),
        ("aaaa11", f"{ONE} or {TWO} or {THREE} or others"),
    ],
)
async def test_several_that_begin_so_are_told_apart(store: Store, target: str, candidates: str) -> None:
    await sessions_of(store, "site", ONE, TWO, THREE, FOUR)
    with pytest.raises(AmbiguousTarget) as raised:
        await one(store, target)
    assert raised.value.details == {"target": target, "candidates": candidates}
    with pytest.raises(AmbiguousTarget):
        await all_of(store, target)


async def test_ids_that_differ_early_are_told_apart_by_eight_characters(store: Store) -> None:
    await sessions_of(store, "site", THREE, FOUR)
    with pytest.raises(AmbiguousTarget, match="could mean aaaa1122 or aaaa1133"):
        await one(store, "a")


NOTHING = ["b", "%", "_", "aaaa%", "aaaa____", "", "-", "aaaa1111-0", "no such", "aaaa1111\n", "*"]


@pytest.mark.parametrize("target", NOTHING)
async def test_what_nothing_is_called_is_said_so(store: Store, target: str) -> None:
    await sessions_of(store, "site", THREE)
    for ask in (one, all_of):
        with pytest.raises(UnknownTarget):
            await ask(store, target)


async def test_a_project_is_meant_before_an_id_that_begins_so(store: Store) -> None:
    await sessions_of(store, "site", ONE)
    (other,) = await sessions_of(store, "aaaa", FOUR)
    assert await one(store, "aaaa") == other.session_id
    assert await all_of(store, "aaaa") == [other.session_id]


async def test_of_a_project_its_newest_live_session_is_meant(store: Store) -> None:
    first, second, third = await sessions_of(store, "site", TWO, ONE, THREE)
    await sessions_of(store, "other", FOUR)
    assert await one(store, "site", live=True) == third.session_id
    await store.do(third.record(SessionState.ENDED))
    assert await one(store, "site", live=True) == second.session_id
    assert await one(store, "site") == second.session_id, "a live one before a newer one that ended"
    assert await all_of(store, "site") == [first.session_id, second.session_id]
    for session in (first, second):
        await store.do(session.record(SessionState.ENDED))
    assert await one(store, "site") == third.session_id
    assert await all_of(store, "site") == []
    with pytest.raises(NoLiveSession):
        await one(store, "site", live=True)


async def test_a_project_without_sessions_has_none_to_mean(store: Store) -> None:
    await store.project("empty")
    for live in (False, True):
        with pytest.raises(NoLiveSession, match="'empty' has no live session"):
            await one(store, "empty", live=live)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("websit", "There is no project 'websit' (did you mean 'website' or 'web-side'?)"),
        ("apis", "There is no project 'apis' (did you mean 'api'?)"),
        ("zzz", "There is no project 'zzz'. Create it with: stratavore new zzz."),
    ],
)
async def test_names_that_are_near_are_told(store: Store, name: str, near: str) -> None:
    for known in ("website", "web-side", "api"):
        await store.project(known)

    async with store.database.pool.acquire() as connection:
        with pytest.raises(UnknownProject) as raised:
            await targets.project(connection, name)
    assert str(raised.value).startswith(near)
