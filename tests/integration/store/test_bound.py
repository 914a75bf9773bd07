"""Sessions that run on one host only: they wait for it, and stay where a person moves them."""

from stratavore.models.states import SessionState
from stratavore.models.steps import Placed, Placement
from tests.integration.store.steps import HOST, Session, Store


async def admitted(store: Store, host: str) -> Session:
    """One that is to run on that host only."""
    session = Session(await store.project(), host=host)
    assert (await store.admitted(session)).granted
    return session


async def goes_on(store: Store, session: Session, runner: Placement, destination: str | None = None) -> Placed:
    """Where its next runner is, when this one has ended."""
    await store.do(session.record(SessionState.RECOVERING, runner.runner_id))
    answer = await store.do(session.place(host=HOST, relaunch=True, destination=destination))
    assert isinstance(answer, Placed)
    return answer


def where(placed: Placed) -> str | None:
    return placed.placement.host if placed.placement else None


async def test_it_runs_there_wherever_it_was_launched(store: Store) -> None:
    await store.host("other")
    session = await admitted(store, "other")
    runner = await store.placed(session, HOST)
    assert runner.host == "other"
    assert where(await goes_on(store, session, runner)) == "other"


async def test_it_waits_for_its_host_and_says_so(store: Store) -> None:
    await store.host("other", lease_seconds=-1)
    session = await admitted(store, "other")
    step = session.place(host=HOST)
    assert await store.do(step) == Placed(holds_slot=True, reason="it runs on other only, which is away")
    await store.fetch("UPDATE hosts SET draining = true, lease_expires_at = now() + interval '1 day'")
    assert await store.do(step) == Placed(holds_slot=True, reason="it runs on other only, which is draining")
    await store.fetch("UPDATE hosts SET draining = false")
    answer = await store.do(step)
    assert isinstance(answer, Placed)
    assert where(answer) == "other"


async def test_moved_by_a_person_it_stays_there(store: Store) -> None:
    await store.host("other")
    session = await admitted(store, HOST)
    moved = await goes_on(store, session, await store.placed(session), "other")
    assert moved.placement
    assert moved.placement.host == "other"
    again = await goes_on(store, session, moved.placement)
    assert again.placement
    assert again.placement.host == "other"
    back = await goes_on(store, session, again.placement, HOST)
    assert where(back) == HOST
    await store.fetch("UPDATE hosts SET draining = true WHERE name = $1", HOST)
    assert back.placement
    waits = await goes_on(store, session, back.placement)
    assert (where(waits), waits.reason) == (None, f"it runs on {HOST} only, which is draining")


async def test_a_move_to_a_host_that_is_away_by_then_leaves_it_where_it_was(store: Store) -> None:
    await store.host("other", lease_seconds=-1)
    session = await admitted(store, HOST)
    assert where(await goes_on(store, session, await store.placed(session), "other")) == HOST


async def test_a_host_that_was_deleted_binds_nobody(store: Store) -> None:
    session = await admitted(store, "gone")
    assert (await store.placed(session)).host == HOST
