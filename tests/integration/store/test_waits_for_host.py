"""Sessions that recover while their host is away wait for it, unless they chose not to."""

import pytest

from stratavore.models.states import Failover, SessionState
from stratavore.models.steps import Placed
from tests.integration.store.steps import HOST, Session, Store


async def recovering(store: Store, failover: Failover = Failover.WAIT) -> Session:
    """One whose agent has ended on a host that is away."""
    await store.host("other")
    session = Session(await store.project(), failover=failover)
    await store.admitted(session)
    runner = await store.placed(session, "other")
    assert runner.host == "other"
    await store.do(session.record(SessionState.RECOVERING, runner.runner_id))
    await store.fetch("UPDATE hosts SET lease_expires_at = now() - interval '1 second' WHERE name = 'other'")
    return session


async def goes_on(store: Store, session: Session, destination: str | None = None) -> Placed:
    answer = await store.do(session.place(host=HOST, relaunch=True, destination=destination))
    assert isinstance(answer, Placed)
    return answer


async def test_it_waits_for_its_host_and_says_so(store: Store) -> None:
    session = await recovering(store)
    waits = await goes_on(store, session)
    assert (waits.placement, waits.reason) == (None, "it goes on on other, which is away")
    await store.fetch("UPDATE hosts SET lease_expires_at = now() + interval '1 day'")
    placed = await goes_on(store, session)
    assert placed.placement
    assert placed.placement.host == "other"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE hosts SET draining = true WHERE name = 'other'",
        "DELETE FROM hosts WHERE name = 'other'",
        "UPDATE sessions SET state = 'queued'",  # a person resumes it: now, and not when that host is back
    ],
)
async def test_it_goes_on_elsewhere_if_nobody_waits_for_that_host(store: Store, change: str) -> None:
    session = await recovering(store)
    await store.fetch(change)
    placed = await goes_on(store, session)
    assert placed.placement
    assert placed.placement.host == HOST


async def test_who_does_not_wait_for_a_lost_host_goes_on_elsewhere(store: Store) -> None:
    placed = await goes_on(store, await recovering(store, Failover.AUTO))
    assert placed.placement
    assert placed.placement.host == HOST


async def test_a_move_takes_it_where_a_person_wants_it(store: Store) -> None:
    placed = await goes_on(store, await recovering(store), HOST)
    assert placed.placement
    assert placed.placement.host == HOST
