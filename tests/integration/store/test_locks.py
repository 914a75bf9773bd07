"""Every kind of transaction at once, on the same sessions: none waits for another in a ring."""

import asyncio
import random
import uuid

from stratavore.agents.adapter import Judgement
from stratavore.events.envelope import NewEvent
from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.steps import Placed
from stratavore.runtime.processes import ProcessIdentity
from stratavore.store import requests, runners, sessions
from stratavore.store.connection import Connection
from stratavore.store.database import Database
from stratavore.store.runners import Sighting
from tests.integration.store.steps import KEY, Session, Store, do

SESSIONS = 8
ROUNDS = 15
AGENT = ProcessIdentity(pid=41, start_ticks=7, boot_id="boot")


async def test_transactions_of_all_kinds_never_wait_in_a_ring(store: Store, database: str) -> None:
    """Postgres ends one of those that do with an error, which would come out here."""
    project = await store.project()
    mine = [Session(project) for _ in range(SESSIONS)]
    wide = await Database.open(database, KEY, connections=16)
    busy = Store(wide)
    choice = random.Random(5)
    live: dict[str, str] = {}
    watching = True

    async def live_through(session: Session) -> None:
        """What a workflow and its launches do."""
        for number in range(ROUNDS):
            await busy.admitted(session)
            placed = await busy.do(session.place(relaunch=number > 0))
            assert isinstance(placed, Placed)
            runner_id = placed.placement.runner_id if placed.placement else None
            if placed.placement and runner_id:
                live[runner_id] = session.session_id
                async with wide.transaction("test") as transaction:
                    assert await sessions.run(transaction.connection, session.session_id, placed.placement.generation)
                    assert await runners.run(transaction.connection, runner_id, AGENT, None, uuid.uuid4())
                    transaction.emit(_happened(session.session_id))
            over = number == ROUNDS - 1
            state = SessionState.ENDED if over else choice.choice([SessionState.PAUSED, SessionState.RECOVERING])
            if runner_id or state is not SessionState.RECOVERING:
                await busy.do(session.record(state, runner_id, RunnerStatus.FAILED))

    async def watch() -> None:
        """What the monitors of hosts do: many runners in any order, with events of their sessions."""
        while watching:
            seen = choice.sample(sorted(live), len(live))
            async with wide.transaction("test") as transaction:
                activity = choice.choice([Activity.BUSY, Activity.IDLE])
                await runners.flush(
                    transaction.connection, [Sighting(one, Judgement(activity), memory_mb=1.0) for one in seen]
                )
                for one in seen[: choice.randint(0, len(seen))]:
                    transaction.emit(_happened(live[one]))
            async with wide.pool.acquire() as connection:
                await runners.adopt(connection, choice.sample(seen, len(seen)), uuid.uuid4())

    async def set_limits() -> None:
        """What people do."""
        while watching:
            await busy.limit(choice.choice([None, project]), choice.choice([1, 3, None]))

    async def type_text() -> None:
        """What a send does before and after it types."""
        while watching:
            async with wide.transaction("test") as transaction:
                text, session_id = str(uuid.uuid4()), choice.choice(mine).session_id
                if await sessions.state_of(transaction.connection, session_id):
                    assert await requests.begin(transaction.connection, text, session_id, "send")
                    await requests.finish(transaction.connection, text, session_id, "send")

    around = [asyncio.create_task(each()) for each in (watch, watch, watch, set_limits, type_text)]
    try:
        await asyncio.gather(*map(live_through, mine))
    finally:
        watching = False
        await asyncio.gather(*around)
        await wide.close()
    assert await store.fetch("SELECT FROM admissions UNION ALL SELECT FROM runners WHERE ended_at IS NULL") == []
    assert (
        await store.fetch(
            "SELECT FROM sessions WHERE last_sequence <> (SELECT count(*) FROM events WHERE session_id = sessions.id)"
        )
        == []
    )


async def test_a_grant_touches_no_other_session(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 1)
    inside, waiting = Session(project), Session(project)
    await store.admitted(inside)
    await store.admitted(waiting)
    async with store.database.pool.acquire() as connection, connection.transaction():
        # Somebody changes the session that waits, and takes long.
        assert await sessions.lock(connection, waiting.session_id)
        await store.do(inside.record(SessionState.ENDED))
        assert await _granted(connection, waiting)


async def test_text_can_be_typed_while_a_session_is_changed(store: Store) -> None:
    session = Session(await store.project())
    await store.admitted(session)
    async with store.database.pool.acquire() as connection, connection.transaction():
        assert await sessions.lock(connection, session.session_id)
        async with store.database.pool.acquire() as other:
            assert await requests.begin(other, str(uuid.uuid4()), session.session_id, "send")


async def test_two_tries_of_a_step_at_once_are_one(store: Store) -> None:
    session = Session(await store.project())
    for step in (session.admit(), session.place(), session.record(SessionState.ENDED)):
        first, *others = await asyncio.gather(*(do(store.database, step) for _ in range(6)))
        assert [one.model_dump(exclude={"repeated"}) for one in others] == [first.model_dump(exclude={"repeated"})] * 5
    assert len(await store.fetch("SELECT FROM runners")) == 1
    events = await store.fetch("SELECT type FROM events ORDER BY sequence")
    assert [row["type"] for row in events] == ["session.created", "session.ended"]


async def _granted(connection: Connection, session: Session) -> bool:
    granted: bool = await connection.fetchval(
        "SELECT granted_at IS NOT NULL FROM admissions WHERE session_id = $1", session.session_id
    )
    return granted


def _happened(session_id: str) -> NewEvent:
    return NewEvent(session_id, str(uuid.uuid4()), "runner.activity", "site", {})
