"""Runners in Postgres: one at a time, each with a generation, and stale writers change nothing."""

import uuid
from dataclasses import replace
from datetime import datetime

import pytest

from activities.admission import AdmissionActivities
from stratavore.agents.adapter import Judgement
from stratavore.models.session import LiveRunner
from stratavore.models.states import Activity, ExitKind, RunnerStatus, SessionState
from stratavore.models.steps import FindRequest, Placed, Placement, Recorded, RecordRequest
from stratavore.runtime.processes import ProcessIdentity
from stratavore.store import runners, sessions
from stratavore.store.runners import Sighting
from tests.integration.store.steps import HOST, MACHINE, Session, Store

AGENT = ProcessIdentity(pid=41, start_ticks=7, boot_id="boot")
WRAPPER = ProcessIdentity(pid=40, start_ticks=6, boot_id="boot")
DAEMON = uuid.uuid4()


async def recovered(store: Store, placement: Placement, agent: ProcessIdentity = AGENT) -> tuple[str, float] | None:
    """Show it as running, and ask what was lost before it."""
    async with store.database.transaction("test") as transaction:
        assert await runners.run(transaction.connection, placement.runner_id, agent, WRAPPER, DAEMON)
        return await runners.recovered(transaction.connection, placement.runner_id)


async def run(store: Store, placement: Placement) -> bool:
    """Show it as running, as a launch does. Returns False if it was told that it is stale."""
    async with store.database.transaction("test") as transaction:
        current = await sessions.run(
            transaction.connection, placement.runner_id.partition(".")[0], placement.generation
        )
        return current and await runners.run(transaction.connection, placement.runner_id, AGENT, WRAPPER, DAEMON)


async def flush(store: Store, *seen: Sighting) -> None:
    async with store.database.transaction("test") as transaction:
        await runners.flush(transaction.connection, seen)


async def everything(store: Store) -> list[dict[str, object]]:
    """All that is known of sessions and runners."""
    found = await store.fetch(
        "SELECT to_jsonb(r) AS r, to_jsonb(s) AS s FROM sessions AS s LEFT JOIN runners AS r ON session_id = s.id"
        " ORDER BY s.id, r.generation"
    )
    return [dict(row) for row in found]


async def relaunched(store: Store, session: Session, runner_id: str) -> Placement:
    """Let a runner crash, and make the next one."""
    await store.do(session.record(SessionState.RECOVERING, runner_id))
    return await store.placed(session)


async def test_a_step_that_is_repeated_gets_the_same_runner(store: Store) -> None:
    session = Session(await store.project())
    await store.admitted(session)
    step = session.place()
    first = await store.do(step)
    assert first == Placed(
        holds_slot=True,
        placement=Placement(runner_id=f"{session.session_id}.1", generation=1, host=HOST),
    )
    before = await everything(store)
    assert await store.do(step) == first
    assert await everything(store) == before
    await store.do(session.record(SessionState.RECOVERING, f"{session.session_id}.1"))
    assert await store.do(step) == first, "also after the runner has ended"


async def test_a_live_runner_is_given_again_instead_of_a_second_one(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    assert await store.placed(session) == first
    second = await relaunched(store, session, first.runner_id)
    assert (second.runner_id, second.generation) == (f"{session.session_id}.2", 2)
    assert await store.placed(session) == second


async def test_without_a_slot_there_is_no_runner(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 0)
    session = Session(project)
    await store.admitted(session)
    before = await everything(store)
    assert await store.do(session.place()) == Placed(holds_slot=False)
    assert await everything(store) == before


async def test_a_session_that_rests_gets_no_runner(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    await store.do(session.record(SessionState.PAUSED, first.runner_id, RunnerStatus.PAUSED))
    assert await store.do(session.place(relaunch=True)) == Placed(holds_slot=False)


async def test_no_runner_while_no_host_is_up(store: Store) -> None:
    await store.host(lease_seconds=-1)
    session = Session(await store.project())
    await store.admitted(session)
    step = session.place(host=HOST)
    assert await store.do(step) == Placed(holds_slot=True, reason="no host takes new runners: here is away")
    await store.host("other")
    answer = await store.do(step)
    assert isinstance(answer, Placed)
    assert answer.placement is not None
    assert answer.placement.host == "other"


async def test_a_host_that_is_drained_gets_no_new_session(store: Store) -> None:
    await store.fetch("UPDATE hosts SET draining = true")
    session = Session(await store.project())
    await store.admitted(session)
    answer = await store.do(session.place(host=HOST))
    assert answer == Placed(holds_slot=True, reason="no host takes new runners: here is draining")


async def test_a_new_session_goes_where_it_was_asked_for_or_where_least_is_running(store: Store) -> None:
    project = await store.project()
    await store.host("a")
    placed = []
    for wanted in (None, HOST, "away", HOST, None):
        session = Session(project)
        await store.admitted(session)
        placed.append((await store.placed(session, wanted)).host)
    assert placed == ["a", HOST, "a", HOST, "a"]


@pytest.mark.parametrize(
    ("happens", "there"),
    [
        (None, HOST),
        ("UPDATE hosts SET draining = true WHERE name = $1", "another"),
        ("DELETE FROM hosts WHERE name = $1", "another"),
    ],
)
async def test_a_session_stays_on_its_host_as_long_as_that_takes_runners(
    store: Store, happens: str | None, there: str
) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    await store.host("another")
    await store.do(session.record(SessionState.RECOVERING, first.runner_id))
    if happens:
        await store.fetch(happens, HOST)
    assert (await store.placed(session, "another" if there == HOST else HOST)).host == there


async def test_a_runner_that_has_not_ended_is_never_placed_a_second_time(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    await store.host("another")
    await store.host(lease_seconds=-1)
    assert await store.placed(session) == first


async def test_a_new_session_goes_where_there_is_most_room(store: Store) -> None:
    project = await store.project()
    await store.fetch("DELETE FROM hosts")
    for name, processors, available in (("full", 8, 500), ("large", 4, 9000), ("small", 1, 9000)):
        await store.host(
            name, machine=MACHINE.model_copy(update={"processors": processors, "memory_available_mb": available})
        )
    placed = []
    for _ in range(6):
        session = Session(project)
        await store.admitted(session)
        placed.append((await store.placed(session)).host)
    # "large" has four processors: it gets four runners for each of "small".
    assert placed == ["large", "small", "large", "large", "large", "large"]


async def test_only_the_current_runner_may_say_that_it_runs(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    second = await relaunched(store, session, first.runner_id)
    before = await everything(store)
    assert not await run(store, first)
    assert await everything(store) == before
    assert await run(store, second)
    (row,) = await store.fetch("SELECT status, pid, wrapper_pid, started_at FROM runners WHERE ended_at IS NULL")
    assert (row["status"], row["pid"], row["wrapper_pid"]) == ("running", AGENT.pid, WRAPPER.pid)
    assert await run(store, second)
    (again,) = await store.fetch("SELECT started_at FROM runners WHERE ended_at IS NULL")
    assert again["started_at"] == row["started_at"]
    await store.do(session.record(SessionState.ENDED, second.runner_id, RunnerStatus.TERMINATED))
    async with store.database.pool.acquire() as connection:
        assert not await runners.run(connection, second.runner_id, AGENT, None, DAEMON), "it has ended"


async def test_a_stale_monitor_changes_nothing(store: Store) -> None:
    project = await store.project()
    crashed, moved = Session(project), Session(project)
    ended, current = await store.runner(crashed), await store.runner(moved)
    await relaunched(store, crashed, ended.runner_id)
    # A fence of its own, should a runner of the past not be recorded as ended.
    await store.fetch("UPDATE sessions SET generation = 2 WHERE id = $1", moved.session_id)
    before = await everything(store)
    busy = [
        Sighting(one.runner_id, Judgement(Activity.BUSY), memory_mb=10.0, cpu_percent=5.0) for one in (ended, current)
    ]
    await flush(store, *busy, Sighting(f"{uuid.uuid4()}.1", Judgement(Activity.BUSY)))
    assert await everything(store) == before


async def test_what_a_monitor_sees_is_kept_until_it_sees_something_else(store: Store) -> None:
    project = await store.project()
    one, two = [(await store.runner(Session(project))).runner_id for _ in range(2)]
    await flush(
        store,
        Sighting(two, Judgement(Activity.IDLE), memory_mb=20.0, cpu_percent=None),
        Sighting(one, Judgement(Activity.BUSY), memory_mb=10.0, cpu_percent=5.0),
    )
    query = "SELECT activity, activity_at, memory_mb, cpu_percent FROM runners WHERE id = $1"
    (first,) = await store.fetch(query, one)
    assert (first["activity"], first["memory_mb"], first["cpu_percent"]) == ("busy", 10.0, 5.0)
    await flush(store, Sighting(one, Judgement(Activity.BUSY)))
    assert await store.fetch(query, one) == [first]
    await flush(store, Sighting(one, Judgement(Activity.WAITING), memory_mb=11.0))
    (then,) = await store.fetch(query, one)
    assert (then["activity"], then["memory_mb"], then["cpu_percent"]) == ("waiting", 11.0, 5.0)
    assert then["activity_at"] > first["activity_at"]
    ((other,),) = await store.fetch("SELECT activity FROM runners WHERE id = $1", two)
    assert other == "idle"


async def test_a_host_finds_its_live_runners_again(store: Store) -> None:
    project = await store.project()
    placed = [await store.runner(Session(project)) for _ in range(2)]
    await store.host("other")
    elsewhere = Session(project)
    await store.admitted(elsewhere)
    await store.placed(elsewhere, "other")
    await run(store, placed[0])
    over = Session(project)
    await store.do(over.record(SessionState.ENDED, (await store.runner(over)).runner_id))
    heir = uuid.uuid4()
    async with store.database.pool.acquire() as connection:
        await runners.adopt(connection, [one.runner_id for one in placed], heir)
        found = {row.runner_id: row for row in await runners.live_of_host(connection, HOST)}
    assert set(found) == {one.runner_id for one in placed}
    assert (found[placed[0].runner_id].agent_process, found[placed[0].runner_id].wrapper_process) == (AGENT, WRAPPER)
    assert found[placed[1].runner_id].agent_process is None
    watched = await store.fetch("SELECT id FROM runners WHERE watched_by = $1", heir)
    assert {row["id"] for row in watched} == set(found)


async def test_the_end_of_a_runner_is_written_once(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    async with store.database.pool.acquire() as connection:
        assert not await runners.is_ended(connection, first.runner_id)
        assert await runners.is_ended(connection, f"{uuid.uuid4()}.1"), "one that never was"
    await store.do(session.record(SessionState.PARKED, first.runner_id, RunnerStatus.FAILED))
    before = await everything(store)
    await store.do(session.record(SessionState.PARKED, first.runner_id, RunnerStatus.TERMINATED))
    after = await everything(store)
    assert [row["r"] for row in after] == [row["r"] for row in before]
    async with store.database.pool.acquire() as connection:
        assert await runners.is_ended(connection, first.runner_id)


async def test_the_paused_runner_of_a_session_that_runs_again_or_ends_has_ended(store: Store) -> None:
    project = await store.project()
    for follows in ("resume", "end"):
        session = Session(project)
        first = await store.runner(session)
        await store.do(session.record(SessionState.PAUSED, first.runner_id, RunnerStatus.PAUSED))
        assert await store.fetch("SELECT FROM runners WHERE status = 'paused'")
        if follows == "resume":
            await store.admitted(session)
            await store.do(session.place(relaunch=True))
        else:
            await store.do(session.record(SessionState.ENDED))
        assert not await store.fetch("SELECT FROM runners WHERE status = 'paused'")


async def test_a_runner_that_was_placed_and_never_launched_ends_with_its_session(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    answer = await store.do(session.record(SessionState.ENDED))
    assert (await store.fetch("SELECT status FROM runners WHERE ended_at IS NULL")) == []
    async with store.database.pool.acquire() as connection:
        assert await runners.is_ended(connection, first.runner_id)
        assert await runners.counts(connection) == {"terminated": 1}
    assert answer.model_dump(include={"state", "released"}) == {"state": SessionState.ENDED, "released": True}


async def test_a_step_of_the_past_puts_no_session_away_that_runs(store: Store) -> None:
    """A worker froze before it paused the session; meanwhile people resumed it, and another worker had it run."""
    session = Session(await store.project())
    await store.admitted(session)
    late = session.record(SessionState.PAUSED)
    session.step -= 1
    placed = await store.placed(session)
    assert await run(store, placed)
    before = await everything(store)
    live = LiveRunner(runner_id=placed.runner_id, generation=placed.generation, host=placed.host)
    assert await store.do(late) == Recorded(state=SessionState.RUNNING, released=False, live=live)
    assert await everything(store) == before
    await store.do(session.record(SessionState.ENDED, placed.runner_id))
    assert await store.fetch("SELECT FROM admissions") == []


async def test_a_workflow_finds_the_runner_that_lives(store: Store) -> None:
    session = Session(await store.project())
    activities = AdmissionActivities(store.database)
    first = await store.runner(session)
    second = await relaunched(store, session, first.runner_id)
    found = await activities.find(FindRequest(session_id=session.session_id))
    assert found.live is not None
    assert found.live.model_dump() == second.model_dump()
    await store.do(session.record(SessionState.PARKED, second.runner_id))
    assert (await activities.find(FindRequest(session_id=session.session_id))).live is None


async def test_a_recovery_is_told_once_with_its_cause(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    assert await recovered(store, first) is None
    second = await relaunched(store, session, first.runner_id)
    told = await recovered(store, second)
    assert told is not None
    assert told[0] == "agent"
    assert 0 <= told[1] < 60
    assert await recovered(store, second) is None, "shown again, it is told no more"

    await store.do(lost(session, second.runner_id))
    third = await store.placed(session)
    told = await recovered(store, third)
    assert told is not None
    assert told[0] == "terminal"

    await store.do(lost(session, third.runner_id))
    after_a_reboot = await recovered(store, await store.placed(session), replace(AGENT, boot_id="the next"))
    assert after_a_reboot is not None
    assert after_a_reboot[0] == "host"


async def test_what_people_had_put_away_was_not_lost(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)
    await recovered(store, first)
    await store.do(session.record(SessionState.PARKED, first.runner_id))
    await store.admitted(session)
    assert await recovered(store, await store.placed(session)) is None


def lost(session: Session, runner_id: str) -> RecordRequest:
    """Nothing of the runner is left; the session goes on."""
    request = session.record(SessionState.RECOVERING, runner_id)
    assert request.exit is not None
    return request.model_copy(update={"exit": request.exit.model_copy(update={"kind": ExitKind.LOST})})


async def test_one_that_recovers_says_since_when(store: Store) -> None:
    session = Session(await store.project())
    first = await store.runner(session)

    async def since() -> datetime | None:
        async with store.database.pool.acquire() as connection:
            (view,) = await sessions.views(connection, ids=[session.session_id])
        return view.since

    assert await run(store, first)
    assert await since() is None
    request = session.record(SessionState.RECOVERING, first.runner_id)
    assert request.exit
    await store.do(request)
    assert await since() == request.exit.at
    answer = await store.do(session.place(relaunch=True))
    assert isinstance(answer, Placed)
    assert answer.placement
    assert await since() == request.exit.at, "it has no agent yet"
    assert await run(store, answer.placement)
    assert await since() is None
