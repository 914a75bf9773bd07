"""What Postgres refuses of one runner is set aside; all else that was seen is written."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from stratavore.agents.adapter import Follower, Judgement, Observation
from stratavore.models.states import Activity
from stratavore.paths import Home
from stratavore.runtime.rundir import RunDirectory
from stratavore.store.runners import run as show_running
from tests.integration.store.conftest import store as store
from tests.integration.store.steps import Session, Store
from tests.integration.store.test_runners import AGENT, DAEMON, WRAPPER
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
