"""Hosts that are away and back, in Postgres: what their sessions are shown as, and what is told of it, once."""

import asyncio
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.views import SessionView
from stratavore.runtime.processes import ProcessIdentity
from stratavore.snapshot import snapshot
from stratavore.store import hosts, projects, runners, sessions
from stratavore.store.absence import tell_found, tell_lost
from tests.integration.store.steps import HOST, Session, Store

DAEMON = uuid.UUID(int=7)
PROCESS = ProcessIdentity(pid=1, start_ticks=1, boot_id="boot")


async def running(store: Store, name: str = "site") -> tuple[Session, str]:
    """A session that runs on the host, and its runner."""
    session = Session(await store.project(name))
    placed = await store.runner(session)
    async with store.database.pool.acquire() as connection:
        assert await runners.run(connection, placed.runner_id, PROCESS, None, DAEMON)
        assert await sessions.run(connection, session.session_id, placed.generation)
    return session, placed.runner_id


async def shown(store: Store, session: Session) -> SessionView:
    async with store.database.pool.acquire() as connection:
        (view,) = await sessions.views(connection, ids=[session.session_id], ended=True)
        assert await sessions.state_of(connection, session.session_id) is view.state
    return view


async def lose(store: Store) -> None:
    """Let the host's lease run out."""
    await store.fetch("UPDATE hosts SET lease_expires_at = now() - interval '1 s' WHERE name = $1", HOST)


async def told(store: Store) -> list[str]:
    """What was told of sessions on hosts, in order."""
    found = await store.fetch(
        "SELECT type FROM events WHERE type IN ('session.unreachable', 'session.reachable') ORDER BY sequence"
    )
    return [row["type"] for row in found]


async def test_who_is_not_heard_of_is_unreachable_before_anybody_notices(store: Store) -> None:
    session, _ = await running(store)
    assert (await shown(store, session)).state is SessionState.RUNNING
    await lose(store)
    view = await shown(store, session)
    assert (view.state, view.activity, view.question) == (SessionState.UNREACHABLE, Activity.UNKNOWN, None)
    assert view.reason is not None
    assert view.reason.startswith(f"the host {HOST} has not been heard of since 2")
    async with store.database.pool.acquire() as connection:
        (of_project,) = await projects.views(connection)
        assert (of_project.running, of_project.live_sessions) == (0, 1)
        details = await projects.details(connection, "site")
        assert details is not None
        assert details.sessions == {"unreachable": 1}
        assert {one.state for one in await sessions.live_names(connection)} == {SessionState.UNREACHABLE}
        seen = await snapshot(connection)
        assert (seen.sessions["unreachable"].count, seen.activities) == (1, {})
        assert seen.hosts == {HOST: "away"}
        (runner,) = await runners.views(connection)
        assert runner.activity is Activity.UNKNOWN
    assert await told(store) == []


async def test_what_has_no_runner_is_what_it_was(store: Store) -> None:
    session, runner_id = await running(store)
    await store.do(session.record(SessionState.PAUSED, runner_id, RunnerStatus.PAUSED))
    await lose(store)
    assert (await shown(store, session)).state is SessionState.PAUSED
    assert await tell_lost(store.database)
    assert await told(store) == []


async def test_it_is_told_once_however_many_notice_it(store: Store) -> None:
    await running(store)
    await lose(store)
    noticed = await asyncio.gather(*(tell_lost(store.database) for _ in range(5)))
    assert sum(one is not None for one in noticed) == 1
    assert await told(store) == ["session.unreachable"]
    alerts = await store.fetch("SELECT data FROM events WHERE type = 'system.alert'")
    assert [row["data"]["severity"] for row in alerts] == ["warning"]


async def test_its_own_daemon_ends_its_absence_once_it_has_found_its_runners(store: Store) -> None:
    session, _ = await running(store)
    await lose(store)
    await tell_lost(store.database)
    await store.host(daemon_id=DAEMON)
    assert (await shown(store, session)).state is SessionState.UNREACHABLE, "its lease is good, and nobody has looked"
    assert await tell_found(store.database, HOST, uuid.uuid4(), dead=()) is None, "another daemon has nothing to say"
    assert await tell_found(store.database, HOST, DAEMON, dead=())
    assert (await shown(store, session)).state is SessionState.RUNNING
    assert await told(store) == ["session.unreachable", "session.reachable"]
    assert await tell_found(store.database, HOST, DAEMON, dead=()) is None


async def test_an_absence_that_nobody_noticed_is_told_at_its_end(store: Store) -> None:
    session, _ = await running(store)
    await lose(store)
    await store.host(daemon_id=DAEMON)
    assert await tell_lost(store.database) is None
    assert (await shown(store, session)).state is SessionState.UNREACHABLE
    await tell_found(store.database, HOST, DAEMON, dead=())
    assert await told(store) == ["session.unreachable", "session.reachable"]


async def test_of_a_runner_that_is_found_dead_nobody_says_that_it_can_be_reached(store: Store) -> None:
    _, runner_id = await running(store)
    await lose(store)
    await store.host(daemon_id=DAEMON)
    await tell_found(store.database, HOST, DAEMON, dead=[runner_id])
    assert await told(store) == ["session.unreachable"]


async def test_a_host_that_came_back_with_a_lease_that_ran_out_again_is_away(store: Store) -> None:
    await running(store)
    await lose(store)
    await store.host(daemon_id=DAEMON, lease_seconds=-1)
    assert await tell_found(store.database, HOST, DAEMON, dead=()) is None


async def test_only_what_is_gone_and_not_waited_for_is_deleted(store: Store) -> None:
    session, runner_id = await running(store)
    async with store.database.pool.acquire() as connection:
        assert not await hosts.delete(connection, HOST), "it is up"
        await lose(store)
        assert not await hosts.delete(connection, HOST), "a session waits for it"
        await store.do(session.record(SessionState.RECOVERING, runner_id))
        assert await hosts.delete(connection, HOST)
        assert not await hosts.delete(connection, HOST)


async def test_those_who_wait_for_a_host_are_known(store: Store) -> None:
    runs, _ = await running(store)
    waits, rests = Session(await store.project("a")), Session(await store.project("b"))
    await store.fetch("UPDATE hosts SET draining = true")
    for session in (waits, rests):
        await store.admitted(session)
        await store.do(session.place())
    await store.do(rests.record(SessionState.PAUSED))
    async with store.database.pool.acquire() as connection:
        assert await hosts.waiting(connection) == [waits.session_id]
    assert (await shown(store, waits)).reason == "no host takes new runners: here is draining"
    assert (await shown(store, runs)).state is SessionState.RUNNING


STEPS = ("expire", "notice", "renew", "find")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
async def test_whatever_the_order_what_is_shown_and_told_agree(store: Store, steps: list[str]) -> None:
    """The state is what the lease and the last word of the host's own daemon say, and each absence is told in pairs."""
    await store.host(daemon_id=DAEMON)
    await tell_found(store.database, HOST, DAEMON, dead=())  # what the example before left
    name = f"p{uuid.uuid4().hex[:8]}"
    session, _ = await running(store, name)
    good, away = True, False
    for step in steps:
        match step:
            case "expire":
                await lose(store)
                good, away = False, True
            case "notice":
                await tell_lost(store.database)
            case "renew":
                await store.host(daemon_id=DAEMON)
                good = True
            case "find":
                await tell_found(store.database, HOST, DAEMON, dead=())
                away = away and not good
        assert ((await shown(store, session)).state is SessionState.UNREACHABLE) == away, step
    rows = await store.fetch(
        "SELECT type, data->>'away_since' AS since FROM events WHERE session_id = $1 AND type LIKE 'session.%reachable'"
        " ORDER BY sequence",
        session.session_id,
    )
    absences = [row["since"] for row in rows if row["type"] == "session.unreachable"]
    ends = [row["since"] for row in rows if row["type"] == "session.reachable"]
    assert len(set(absences)) == len(absences)
    assert ends == absences[: len(ends)]
    assert len(absences) - len(ends) <= 1
