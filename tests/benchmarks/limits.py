"""What limits cost, and how soon a freed slot is used."""

import asyncio
import statistics
import uuid
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any

import asyncpg

from activities.admission import AdmissionActivities
from stratavore.models.states import SessionState
from stratavore.store.database import Database
from tests.benchmarks.conversations import Say, Spread
from tests.integration.store.steps import LIMIT, Session, Store
from tests.support.daemon import DaemonProcess

MANY = 200
AT_ONCE = 5
WAITING = (0, 100, 1000, 5000)
WORKS = ["sleep", "0.5"]
_BRIEFLY = ["sleep", "0.2"]

Connection = asyncpg.Connection


async def limiting(daemon: DaemonProcess, say: Say, spread: Spread, rounds: int) -> None:
    """Many at a small limit; what admission costs however many wait; how soon a freed slot is taken."""
    say("limits")
    await _crowd(daemon, say, spread)
    await _handing_over(daemon, say, spread)
    await _waiting(daemon, say, spread, rounds)


async def _crowd(daemon: DaemonProcess, say: Say, spread: Spread) -> None:
    """Launches at once at a small limit, looked at all the time until the last one has ended."""
    project = await daemon.project(WORKS)
    await daemon.call("set_quota", project=project, name=LIMIT, value=AT_ONCE)
    launching = asyncio.create_task(daemon.launch(project, MANY))
    async with daemon.connection() as connection:
        slots, live, took = await _watch(connection, project, MANY)
        taken = await _taken(connection, took)
    await launching
    tickets = [ticket for ticket, _ in sorted(took.values(), key=lambda one: one[1])]
    out_of_order = sum(1 for before, after in pairwise(tickets) if before > after)
    say(
        f"  {MANY} launches at once at a limit of {AT_ONCE}: in {len(slots)} looks while others waited, slots held "
        f"{min(slots)}-{max(slots)}  [goal: exactly {AT_ONCE}], live runners at most {max(live)}; "
        f"slots taken out of order: {out_of_order} of {len(tickets)}  [goal: 0]"
    )
    say(f"  from the end that freed a slot until the next one runs, {AT_ONCE} at a time: {spread(taken, ' ms')}")


async def _handing_over(daemon: DaemonProcess, say: Say, spread: Spread) -> None:
    """One slot, handed from one to the next, beside launches that find one free."""
    project, free = await daemon.project(_BRIEFLY), await daemon.project(_BRIEFLY)
    await daemon.call("set_quota", project=project, name=LIMIT, value=1)
    count, alone = 30, []
    async with daemon.connection() as connection:
        for _ in range(count):
            alone.append(await _launched(daemon, connection, free))
        launching = asyncio.create_task(daemon.launch(project, count))
        _, _, took = await _watch(connection, project, count)
        taken = await _taken(connection, took)
    await launching
    say(
        f"  a freed slot is taken by the next in line, which runs after {spread(taken, ' ms')}  "
        f"[goal: median <= 300 ms]; a launch that finds a free one runs after {spread(alone, ' ms')}"
    )


async def _waiting(daemon: DaemonProcess, say: Say, spread: Spread, rounds: int) -> None:
    """One launch, and its admission by itself, while so many others wait; in turn with launches without any limit."""
    free, full = await daemon.project(_BRIEFLY), await daemon.project(_BRIEFLY)
    database = await Database.open(daemon.dsn, b"k" * 32, connections=2)
    store = Store(database)
    mine = await store.project(f"bench-{uuid.uuid4().hex[:8]}")
    await daemon.call("set_quota", project=full, name=LIMIT, value=0)
    unlimited: list[float] = []
    launches, admitted, queued = (defaultdict[int, list[float]](list) for _ in range(3))
    try:
        async with daemon.connection() as connection:
            for _ in range(rounds):
                await _limit(daemon, (free, mine.name), None)
                unlimited += [await _launched(daemon, connection, free) for _ in range(4)]
                await _limit(daemon, (free, mine.name), 1000)
                for waiting in WAITING:
                    await _fill(connection, full, waiting)
                    launches[waiting] += [await _launched(daemon, connection, free) for _ in range(4)]
                    admitted[waiting] += [await _admitted(store, Session(mine)) for _ in range(20)]
                    await store.limit(mine, 0)
                    queued[waiting] += [await _admitted(store, Session(mine)) for _ in range(20)]
                    await store.limit(mine, 1000)
                await _fill(connection, full, 0)
            await _limit(daemon, (), None)
    finally:
        await database.close()
    say(f"  a launch without any limit runs after {spread(unlimited, ' ms')}")
    base = statistics.median(unlimited)
    for waiting in WAITING:
        more = statistics.median(launches[waiting]) - base
        into_line = spread(queued[waiting], " ms")
        say(
            f"  {waiting:,} wait: a launch runs after {spread(launches[waiting], ' ms')} ({more:+.1f} ms); admission "
            f"alone {spread(admitted[waiting], ' ms')}  [goal: median <= 20 ms], into the line {into_line}"
        )


async def _limit(daemon: DaemonProcess, projects: Sequence[str], value: int | None) -> None:
    """Limit these projects, and everything together ten times as far."""
    for project in (*projects, None):
        most = value and (value if project else 10 * value)
        await daemon.call("set_quota", project=project, name=LIMIT, value=most)


async def _launched(daemon: DaemonProcess, connection: Connection, project: str) -> float:
    """Milliseconds from a launch until it runs."""
    began = perf_counter()
    (session,) = await daemon.launch(project)
    while not await connection.fetchval("SELECT started_at FROM runners WHERE session_id = $1", session):
        await asyncio.sleep(0.002)
    took = 1000 * (perf_counter() - began)
    while await connection.fetchval("SELECT state FROM sessions WHERE id = $1", session) != "ended":
        await asyncio.sleep(0.01)
    return took


async def _admitted(store: Store, session: Session) -> float:
    """Milliseconds of the step that gives a slot or a place in the line, which is given back."""
    began = perf_counter()
    await AdmissionActivities(store.database).admit(session.admit())
    took = 1000 * (perf_counter() - began)
    await store.do(session.record(SessionState.ENDED))
    return took


async def _fill(connection: Connection, project: str, waiting: int) -> None:
    """Let so many sessions of a project wait, which nobody works for; and no others."""
    await connection.execute("DELETE FROM admissions WHERE granted_at IS NULL")
    await connection.execute("DELETE FROM sessions WHERE incarnation = 'bench'")
    await connection.execute(
        "WITH made AS (INSERT INTO sessions (id, project_id, agent, agent_session_id, argv, cwd, state, incarnation,"
        "                                    launch, failover)"
        "              SELECT new.id, projects.id, 'command', new.id::text, '{true}', '/', 'queued', 'bench', '{}',"
        "                     'wait'"
        "              FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $2::bigint)) AS new, projects"
        "              WHERE name = $1 RETURNING id, project_id)"
        " INSERT INTO admissions (session_id, project_id) SELECT id, project_id FROM made",
        project,
        waiting,
    )
    await connection.execute("ANALYZE sessions, admissions")


Took = dict[str, tuple[int, Any]]
"""Of sessions that took a slot: their number in line, and when."""


async def _watch(connection: Connection, project: str, count: int) -> tuple[list[int], list[int], Took]:
    """Look until all sessions of a project have ended. Returns slots and live runners while some waited."""
    slots, live = [], []
    took: Took = {}
    while True:
        rows = await connection.fetch(
            "SELECT admissions.session_id::text, ticket, granted_at,"
            " (SELECT count(*) FROM runners WHERE session_id = admissions.session_id AND ended_at IS NULL"
            "  AND started_at IS NOT NULL) AS live"
            " FROM admissions JOIN projects ON projects.id = project_id WHERE name = $1",
            project,
        )
        held = [row for row in rows if row["granted_at"]]
        took |= {row["session_id"]: (row["ticket"], row["granted_at"]) for row in held}
        live.append(sum(row["live"] for row in rows))
        if len(held) < len(rows):
            slots.append(len(held))
        if not rows and len(took) >= count:
            return slots, live, took
        await asyncio.sleep(0.01)


async def _taken(connection: Connection, took: Took) -> list[float]:
    """Milliseconds from the moment at which a slot was handed over until its next holder ran."""
    rows = await connection.fetch(
        "SELECT session_id::text, started_at FROM runners WHERE session_id = ANY ($1::uuid[]) AND generation = 1",
        list(took),
    )
    started = {row["session_id"]: row["started_at"] for row in rows}
    waited: Sequence[str] = sorted(took, key=lambda one: took[one][0])[AT_ONCE:]
    return [1000 * (started[one] - took[one][1]).total_seconds() for one in waited]
