"""Every kind of transaction at once, on the same sessions: none waits for another in a ring."""

import asyncio
import random
import uuid
from datetime import UTC, datetime
from decimal import Decimal

from stratavore.agents.adapter import Judgement
from stratavore.agents.conversation import Reply, Tokens
from stratavore.budgets import Action, Budget, Period, Unit
from stratavore.events.envelope import NewEvent
from stratavore.models.states import Activity, RunnerStatus, SessionState
from stratavore.models.steps import Placed
from stratavore.runtime.processes import ProcessIdentity
from stratavore.store import budgets, requests, runners, sessions, usage
from stratavore.store.connection import Connection
from stratavore.store.database import Database
from stratavore.store.runners import Sighting
from stratavore.store.usage import Used
from tests.integration.store.steps import KEY, Session, Store, do

SESSIONS = 8
ROUNDS = 15
AGENT = ProcessIdentity(pid=41, start_ticks=7, boot_id="boot")


async def test_transactions_of_all_kinds_never_wait_in_a_ring(store: Store, database: str) -> None:
    """Postgres ends one of those that do with an error, which would come out here."""
    project = await store.project()
    mine = [Session(project) for _ in range(SESSIONS)]
    wide = await Database.open(database, KEY, connections=20)
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

    async def count_replies() -> None:
        """What the hosts' readers of transcripts do: replies of many sessions in one transaction."""
        while watching:
            async with wide.transaction("test") as transaction:
                spent = choice.sample(sorted(live.items()), min(4, len(live)))
                for session_id in sorted({session_id for _, session_id in spent}):
                    assert await sessions.lock(transaction.connection, session_id)
                replies = [
                    Used(runner, session_id, Reply(str(uuid.uuid4()), None, datetime.now(UTC), Tokens(input=3)), None)
                    for runner, session_id in spent
                ]
                await usage.add(transaction.connection, replies)

    async def change_budgets() -> None:
        """What people do, and daemons that tell of it."""
        scopes = [("global", ""), ("project", project.project_id), *(("session", one.session_id) for one in mine)]
        while watching:
            async with wide.transaction("test") as transaction:
                connection = transaction.connection
                match choice.randrange(4):
                    case 0:
                        await budgets.unset(connection, *choice.choice(scopes))
                    case 1:
                        await budgets.lock(connection)
                        for one in choice.sample(known := await budgets.views(connection), len(known)):
                            await budgets.give(connection, one.budget_id, None)
                    case 2:
                        await budgets.cross(connection)
                    case _:
                        budget = Budget(
                            choice.choice(list(Unit)), choice.choice(list(Period)), Decimal(20), action=Action.WARN
                        )
                        await budgets.set_budget(connection, *choice.choice(scopes), budget)

    busy_with = (
        watch,
        watch,
        watch,
        set_limits,
        type_text,
        count_replies,
        count_replies,
        change_budgets,
        change_budgets,
    )
    around = [asyncio.create_task(each()) for each in busy_with]
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
