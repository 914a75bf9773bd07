"""What Postgres refuses of one runner is set aside; all else that was seen is written."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from stratavore.agents.adapter import Follower, Judgement, Observation
from stratavore.models.states import Activity
from stratavore.paths import Home
from stratavore.runtime.processes import Usage
from stratavore.runtime.rundir import RunDirectory
from stratavore.store.runners import run as show_running
from tests.integration.store.conftest import store as store
from tests.integration.store.steps import Session, Store
from tests.integration.store.test_runners import AGENT, DAEMON, WRAPPER
from tests.support.waiting import until
from worker.sightings import Sightings
from worker.watched import Watched


class Says(Follower):
    def __init__(self, question: str) -> None:
        self._question = question

    def judge(self, seen: Observation) -> Judgement:
        return Judgement(Activity.WAITING, self._question)


async def watched(store: Store, home: Home, project_name: str, question: str) -> Watched:
    session = Session(await store.project(project_name))
    await store.admitted(session)
    placement = await store.placed(session)
    async with store.database.transaction("test") as transaction:
        assert await show_running(transaction.connection, placement.runner_id, AGENT, WRAPPER, DAEMON)
    project = session.project
    one = Watched(
        placement.runner_id,
        session.session_id,
        project.project_id,
        project.name,
        "command",
        AGENT,
        datetime.now(UTC),
        RunDirectory(home, placement.runner_id),
    )
    one.follower = Says(question)
    return one


@pytest.mark.parametrize("poison", ["a NUL: \0", "half a pair: \ud83d"])
async def test_one_that_postgres_refuses_is_named_and_the_others_are_seen(
    store: Store, home: Home, poison: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await watched(store, home, "bad", poison), await watched(store, home, "good", "May it?")
    sightings = Sightings(store.database, asyncio.Lock(), interval=0.0, measure_seconds=3600.0)
    with caplog.at_level(logging.ERROR):
        await sightings.look([bad, good])
        await sightings.look([bad, good])
    rows = {row["id"]: row["question"] for row in await store.fetch("SELECT id, question FROM runners")}
    assert rows == {bad.runner_id: None, good.runner_id: "May it?"}
    (said,) = [record.getMessage() for record in caplog.records if "set aside" in record.getMessage()]
    assert bad.runner_id in said


@pytest.mark.parametrize("past", ["ended_at = now()", "generation = 0"])
async def test_of_a_runner_of_the_past_nothing_is_told(store: Store, home: Home, past: str) -> None:
    """Its daemon slept while its session went on: what it does cannot follow upon its recorded end."""
    stale, current = await watched(store, home, "stale", "May it?"), await watched(store, home, "current", "May it?")
    await store.fetch(f"UPDATE runners SET {past} WHERE id = $1", stale.runner_id)
    await Sightings(store.database, asyncio.Lock(), interval=0.0, measure_seconds=3600.0).look([stale, current])
    told = await store.fetch("SELECT session_id::text FROM events WHERE type = 'runner.activity'")
    assert [row["session_id"] for row in told] == [current.session_id]
    shown = await store.fetch("SELECT id, activity FROM runners")
    assert {row["id"]: row["activity"] for row in shown}[stale.runner_id] == "starting"


async def test_cpu_is_counted_by_when_it_was_measured(
    store: Store, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a measurement and its row others may write for long, and what a thread used meanwhile is not in it."""
    clock = 1000.0
    monkeypatch.setattr("worker.sightings.monotonic", lambda: clock)
    monkeypatch.setattr("worker.sightings.Snapshot", lambda: "now")
    monkeypatch.setattr("worker.sightings._keep_descendants", lambda *_: None)
    monkeypatch.setattr(
        "worker.sightings.measure", lambda _, pids: {one: Usage(memory_mb=1.0, cpu_seconds=clock) for one in pids}
    )
    one, following = await watched(store, home, "busy", "May it?"), asyncio.Lock()
    sightings = Sightings(store.database, following, interval=0.0, measure_seconds=0.0)
    await following.acquire()
    looking = asyncio.create_task(sightings.look([one]))
    await until(lambda: following._waiters)
    clock += 5
    following.release()
    await looking
    clock += 1
    await sightings.look([one])
    (row,) = await store.fetch("SELECT cpu_percent FROM runners")
    assert row["cpu_percent"] == pytest.approx(100)
