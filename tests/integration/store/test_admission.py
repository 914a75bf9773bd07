"""Many sessions that want in at once, on many connections."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from stratavore.models.states import SessionState
from stratavore.models.steps import Admission, Recorded
from stratavore.store import limits
from stratavore.store.database import Database
from tests.integration.store.steps import KEY, LIMIT, Session, Store, do

MANY = 200
LIMITED = 5
LINE = "SELECT session_id::text AS id, granted_at IS NOT NULL AS granted FROM admissions ORDER BY ticket"


async def watched(store: Store, work: Callable[[], Awaitable[None]]) -> int:
    """Do the work, and look at the line all the while, as any transaction may see it. Returns how often it was seen."""
    seen = 0
    working = asyncio.ensure_future(work())
    while not working.done():
        line = [row["granted"] for row in await store.fetch(LINE)]
        assert line == sorted(line, reverse=True), "who holds a slot came before all who wait"
        assert sum(line) <= LIMITED
        seen += 1
    await working
    return seen


async def test_of_many_at_once_as_many_hold_a_slot_as_the_limit_says(store: Store, database: str) -> None:
    project = await store.project()
    sessions = [Session(project) for _ in range(MANY)]
    await store.limit(None, LIMITED)
    wide = await Database.open(database, KEY, connections=20)
    answers: dict[str, Admission] = {}

    async def join(session: Session) -> None:
        answer = await do(wide, session.admit())
        assert isinstance(answer, Admission)
        answers[session.session_id] = answer

    async def all_join() -> None:
        await asyncio.gather(*map(join, sessions))

    assert await watched(store, all_join) > 1
    line = [row["id"] for row in await store.fetch(LINE)]
    assert [answers[one].granted for one in line] == [True] * LIMITED + [False] * (MANY - LIMITED)
    # Nobody left meanwhile, so each was told the place where it stands now.
    assert [answers[one].position for one in line] == [0] * LIMITED + list(range(1, MANY - LIMITED + 1))
    assert all(answer.grants == () for answer in answers.values())

    by_id = {session.session_id: session for session in sessions}
    choice = random.Random(3)
    entered = line[:LIMITED]

    async def leave(session_id: str) -> None:
        answer = await do(wide, by_id[session_id].record(choice.choice([SessionState.ENDED, SessionState.PAUSED])))
        assert isinstance(answer, Recorded)
        entered.extend(answer.grants)

    async def all_leave() -> None:
        left: set[str] = set()
        while inside := [one for one in entered if one not in left]:
            leaving = choice.sample(inside, choice.randint(1, len(inside)))
            left.update(leaving)
            await asyncio.gather(*map(leave, leaving))

    await watched(store, all_leave)
    assert sorted(entered) == sorted(line), "each was let in once"
    # Those who are let in at once are told in any order.
    places = [line.index(one) for one in entered]
    assert all(abs(place - index) < LIMITED for index, place in enumerate(places))
    assert await store.fetch(LINE) == []
    await wide.close()


async def test_who_leaves_the_line_holds_up_nobody(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 1)
    inside, gives_up, last = (Session(project) for _ in range(3))
    assert [(await store.admitted(one)).position for one in (inside, gives_up, last)] == [0, 1, 2]
    assert await store.do(gives_up.record(SessionState.ENDED)) == Recorded(state=SessionState.ENDED, released=True)
    assert (await store.admitted(last)).position == 1
    answer = await store.do(inside.record(SessionState.PAUSED))
    assert isinstance(answer, Recorded)
    assert answer.grants == (last.session_id,)
    assert await store.admitted(last) == Admission(granted=True)
    # Who comes back stands behind.
    assert await store.admitted(inside) == Admission(granted=False, position=1)


async def test_a_full_project_does_not_hold_up_another(store: Store) -> None:
    full, free = await store.project("full"), await store.project("free")
    await store.limit(full, 1)
    await store.limit(None, 2)
    first, waits, other, later = Session(full), Session(full), Session(free), Session(free)
    granted = [(await store.admitted(one)).granted for one in (first, waits, other, later)]
    assert granted == [True, False, True, False]
    # The first in line has no room in its project: the slot goes to the next who has.
    answer = await store.do(other.record(SessionState.ENDED))
    assert isinstance(answer, Recorded)
    assert answer.grants == (later.session_id,)


async def test_a_raised_limit_lets_in_as_many_as_it_has_room_for(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 0)
    await store.limit(None, 3)
    line = [Session(project) for _ in range(6)]
    assert [(await store.admitted(one)).position for one in line] == [1, 2, 3, 4, 5, 6]
    ids = [one.session_id for one in line]
    assert set(await store.limit(project, 2)) == set(ids[:2])
    assert set(await store.limit(project, None)) == {ids[2]}
    assert await store.limit(None, 1) == ()
    assert await store.limit(None, 2) == ()
    for one in line[:2]:  # more hold a slot than the lowered limit allows: nobody is let in, nobody is put out
        assert await store.do(one.record(SessionState.ENDED)) == (
            Recorded(state=SessionState.ENDED, released=True, grants=(ids[3],) if one is line[1] else ())
        )
    assert set(await store.limit(None, None)) == set(ids[4:])


async def test_a_step_of_the_past_gives_nothing_to_a_session_that_has_ended(store: Store) -> None:
    project = await store.project()
    session, other = Session(project), Session(project)
    late = session.admit()
    assert await store.do(late) == Admission(granted=True)
    await store.do(session.record(SessionState.ENDED))
    for value in (None, 0):  # with room, and without: then it would be shown as waiting
        await store.limit(project, value)
        assert await store.do(late) == Admission(granted=False)
        assert await store.fetch(LINE) == []
        assert [row["state"] for row in await store.fetch("SELECT state FROM sessions")] == ["ended"]
    assert [row["type"] for row in await store.fetch("SELECT type FROM events ORDER BY sequence")] == [
        "session.created",
        "session.ended",
    ]
    assert (await store.admitted(other)).position == 1


async def test_a_step_of_the_past_counts_for_what_was_done_in_its_place(store: Store) -> None:
    """A worker froze before it took the slot; meanwhile people ended the session, and another worker did that."""
    project = await store.project()
    session, unheard_of = Session(project), Session(project)
    await store.admitted(session)
    for one in (session, unheard_of):
        late = one.admit()
        one.step -= 1
        await store.do(one.record(SessionState.ENDED))
        assert await store.do(late) == Admission(granted=False)
    assert await store.fetch(LINE) == []
    assert [row["state"] for row in await store.fetch("SELECT state FROM sessions")] == ["ended"]


async def test_who_leaves_after_all_leaves_what_was_taken_in_that_step(store: Store) -> None:
    """A worker took the slot and died before it said so; people had ended the session when the next one came."""
    session = Session(await store.project())
    await store.admitted(session)
    session.step -= 1
    recorded = await store.do(session.record(SessionState.ENDED))
    assert recorded == Recorded(state=SessionState.ENDED, released=True)
    assert await store.fetch(LINE) == []


async def test_a_step_that_is_repeated_is_told_of_the_slot_it_got_meanwhile(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 1)
    inside, waiting = Session(project), Session(project)
    await store.admitted(inside)
    step = waiting.admit()
    assert await store.do(step) == await store.do(step) == Admission(granted=False, position=1)
    await store.do(inside.record(SessionState.ENDED))
    assert await store.do(step) == Admission(granted=True)
    events = await store.fetch("SELECT key FROM events WHERE type = 'quota.exceeded'")
    assert [row["key"] for row in events] == [step.step]


async def test_a_session_that_was_never_opened_ends_unseen(store: Store) -> None:
    session = Session(await store.project())
    assert await store.do(session.record(SessionState.ENDED)) == Recorded(state=SessionState.ENDED, released=True)
    assert await store.fetch("SELECT FROM sessions UNION ALL SELECT FROM events") == []


async def test_quotas_show_what_is_used(store: Store) -> None:
    project, idle = await store.project("busy"), await store.project("idle")
    await store.limit(project, 2)
    for _ in range(3):
        await store.admitted(Session(project))
    async with store.database.pool.acquire() as connection:
        everything = await limits.views(connection)
        only = await limits.views(connection, idle.name)
    assert [(one.project, one.limit, one.used, one.waiting) for one in everything] == [
        (None, None, 2, 1),
        ("busy", 2, 2, 1),
        ("idle", None, 0, 0),
    ]
    assert [(one.scope, one.project, one.name) for one in only] == [("global", None, LIMIT), ("project", "idle", LIMIT)]
