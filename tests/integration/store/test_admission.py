"""Many sessions that want in at once, on many connections."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from stratavore.models.states import SessionState
from stratavore.models.steps import Admission, Recorded
from stratavore.models.views import ProjectView
from stratavore.store import limits, sessions
from stratavore.store.database import Database
from tests.integration.store.steps import KEY, LIMIT, MEMORY, OPERATOR, TOKENS, Session, Store, do

MANY = 200
LIMITED = 5
FULL = "1 of 1 runners run in its project"
FIRST_IN_LINE = Admission(granted=False, position=1, limit=LIMIT, reason=f"waits: {FULL}")
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
    assert without_number(await store.admitted(inside)) == FIRST_IN_LINE


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
    answers = [await store.do(step), await store.do(step), await store.admitted(waiting)]
    assert list(map(without_number, answers)) == [FIRST_IN_LINE] * 3
    await store.do(inside.record(SessionState.ENDED))
    assert await store.do(step) == Admission(granted=True)
    told = await store.fetch("SELECT FROM events WHERE type = 'quota.exceeded'")
    assert len(told) == 1  # who looks again tells nothing new


async def test_who_does_not_want_to_wait_is_refused_and_stands_nowhere(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 1)
    assert (await store.admitted(Session(project), no_queue=True)).granted
    late = Session(project)
    step = late.admit(no_queue=True)
    answer, again = await store.do(step), await store.do(step)
    assert isinstance(answer, Admission)
    assert isinstance(again, Admission)
    assert (answer.granted, answer.position, answer.refused) == (False, 0, FULL)
    assert (again.granted, again.refused) == (False, "there was none")
    assert len(await store.fetch(LINE)) == 1
    (exceeded,) = await store.fetch("SELECT data FROM events WHERE type = 'quota.exceeded'")
    assert exceeded["data"] == {"limit": LIMIT, "position": 0, "reason": FULL}


async def test_a_session_that_was_never_opened_ends_unseen(store: Store) -> None:
    session = Session(await store.project())
    assert await store.do(session.record(SessionState.ENDED)) == Recorded(state=SessionState.ENDED, released=True)
    assert await store.fetch("SELECT FROM sessions UNION ALL SELECT FROM events") == []


async def test_memory_lets_in_while_what_runs_is_below_it(store: Store) -> None:
    """A slot counts 256 MB: of many who come at once, the first do not all see nothing."""
    project = await store.project()
    await store.limit(project, 600, MEMORY)
    line = [Session(project) for _ in range(5)]
    answers = await asyncio.gather(*(store.admitted(one) for one in line))
    assert sum(answer.granted for answer in answers) == 3
    waits = next(answer for answer in answers if answer.position == 1)
    assert (waits.limit, waits.reason) == (MEMORY, "waits: 768 of 600 MB are used in its project")
    inside = [one for one, answer in zip(line, answers, strict=True) if answer.granted]
    runner = await store.placed(inside[0])
    await store.use_memory(runner.runner_id, 600.5)
    assert await used(store, project, MEMORY) == 1113  # 601 + 2 * 256
    answer = await store.do(inside[1].record(SessionState.ENDED))
    assert isinstance(answer, Recorded)
    assert answer.grants == ()
    answer = await store.do(inside[0].record(SessionState.ENDED, runner.runner_id))
    assert isinstance(answer, Recorded)
    assert len(answer.grants) == 2


async def test_raised_memory_lets_in_as_many_as_begin_below_it(store: Store) -> None:
    project = await store.project()
    await store.limit(None, 0, MEMORY)
    line = [Session(project) for _ in range(5)]
    for session in line:
        await store.admitted(session)
    ids = [session.session_id for session in line]
    assert set(await store.limit(None, 2 * 256, MEMORY)) == set(ids[:2])
    assert set(await store.limit(None, 3 * 256 + 1, MEMORY)) == set(ids[2:4])


async def test_memory_of_everything_counts_all_projects(store: Store) -> None:
    small, large = await store.project("small"), await store.project("large")
    await store.limit(None, 1000, MEMORY)
    runner = await store.runner(Session(large))
    await store.use_memory(runner.runner_id, 900)
    assert (await store.admitted(Session(small))).granted  # below until now
    assert await used(store, None, MEMORY) == 1156
    assert (await store.admitted(Session(small))).reason == "waits: 1,156 of 1,000 MB are used"
    await store.use_memory(runner.runner_id, 300)
    assert (await store.admitted(Session(small))).position == 0


async def test_tokens_of_today_let_in_until_they_are_used(store: Store) -> None:
    project, other = await store.project("site"), await store.project("other")
    runner = await store.runner(Session(project))
    await store.limit(project, 1000, TOKENS)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    await store.use_tokens(runner.runner_id, 5000, at=midnight - timedelta(microseconds=1))
    await store.use_tokens(runner.runner_id, 999, at=midnight, message="grows")
    assert (await store.admitted(Session(project))).granted
    await store.use_tokens(runner.runner_id, 1000, at=now, message="grows")
    await store.use_tokens(runner.runner_id, 1000, at=now, message="grows")
    assert await used(store, project, TOKENS) == 1000
    waiting = Session(project)
    answer = await store.admitted(waiting)
    assert (answer.granted, answer.reason) == (False, "waits: 1,000 of 1,000 tokens used today in its project")
    assert (await store.admitted(Session(other))).granted
    async with store.database.pool.acquire() as connection:
        (view,) = await sessions.views(connection, ids=[waiting.session_id])
    assert (view.position, view.reason) == (1, answer.reason)
    (exceeded,) = await store.fetch("SELECT data FROM events WHERE type = 'quota.exceeded'")
    assert exceeded["data"] == {"limit": TOKENS, "position": 1, "reason": answer.reason}
    assert await store.limit(project, 1001, TOKENS) == (waiting.session_id,)


async def test_who_waits_for_several_limits_is_let_in_when_the_last_has_room(store: Store) -> None:
    project = await store.project()
    runner = await store.runner(Session(project))
    await store.use_tokens(runner.runner_id, 10)
    for name in (LIMIT, MEMORY, TOKENS):
        await store.limit(project, 1, name)
        await store.limit(None, 1, name)
    waiting = Session(project)
    assert (await store.admitted(waiting)).limit == TOKENS
    for scope in (project, None):
        for name in (TOKENS, LIMIT, MEMORY):
            granted = await store.limit(scope, None, name)
            assert granted == ((waiting.session_id,) if (scope, name) == (None, MEMORY) else ())


async def test_tokens_are_counted_by_day_and_host_as_replies_are(store: Store) -> None:
    """Also those counted before there was such a count: the sums are what the replies say."""
    await store.host("there")
    project = await store.project()
    for host in ("here", "there"):
        session = Session(project)
        await store.admitted(session)
        runner = await store.placed(session, host)
        for day in (1, 2):
            await store.use_tokens(runner.runner_id, 7 * day, at=datetime(2026, 1, day, 23, 59, tzinfo=UTC))
            await store.use_tokens(runner.runner_id, 1, at=datetime(2026, 1, day, tzinfo=UTC))
    counted = await store.fetch("SELECT day, host, tokens FROM tokens_by_day ORDER BY day, host")
    assert [(row["day"].day, row["host"], row["tokens"]) for row in counted] == [
        (1, "here", 8),
        (1, "there", 8),
        (2, "here", 15),
        (2, "there", 15),
    ]


async def test_an_operator_passes_every_limit_and_the_line(store: Store) -> None:
    project = await store.project()
    await store.limit(project, 1)
    holder, waits, passes, waited = (Session(project) for _ in range(4))
    await store.admitted(holder)
    await store.admitted(waits)
    await store.admitted(waited)
    for session in (passes, waited):
        assert await store.do(session.admit(god=OPERATOR)) == Admission(granted=True)
    assert await used(store, project, LIMIT) == 3
    told = await store.fetch("SELECT session_id::text, data FROM events WHERE type = 'system.god' ORDER BY time")
    assert [(row["session_id"], row["data"]["user"]) for row in told] == [
        (passes.session_id, "ann"),
        (waited.session_id, "ann"),
    ]
    assert told[0]["data"]["passed"] == "waits: 1 of 1 runners run in its project"
    assert told[1]["data"]["passed"] == "waits: 2 of 1 runners run in its project"
    for one in (holder, passes):
        answer = await store.do(one.record(SessionState.ENDED))
        assert answer == Recorded(state=SessionState.ENDED, released=True)
    answer = await store.do(waited.record(SessionState.ENDED))
    assert answer == Recorded(state=SessionState.ENDED, released=True, grants=(waits.session_id,))


async def test_quotas_show_what_is_used(store: Store) -> None:
    project, idle = await store.project("busy"), await store.project("idle")
    await store.limit(project, 2)
    await store.limit(project, 10_000, MEMORY)
    for _ in range(3):
        await store.admitted(Session(project))
    async with store.database.pool.acquire() as connection:
        everything = await limits.views(connection)
        only = await limits.views(connection, idle.name)
    assert [(one.project, one.name, one.limit, one.used, one.waiting) for one in everything] == [
        (None, LIMIT, None, 2, 0),
        (None, MEMORY, None, 512, 0),
        (None, TOKENS, None, 0, 0),
        ("busy", LIMIT, 2, 2, 1),
        ("busy", MEMORY, 10_000, 512, 0),
    ]
    assert [(one.scope, one.project, one.name, one.used) for one in only[3:]] == [
        ("project", "idle", name, 0) for name in (LIMIT, MEMORY, TOKENS)
    ]


async def used(store: Store, project: ProjectView | None, name: str) -> int:
    """What is used of a limit."""
    async with store.database.pool.acquire() as connection:
        found = await limits.views(connection, project.name if project else None)
    scope = project.name if project else None
    return next(one.used for one in found if (one.project, one.name) == (scope, name))


def without_number(answer: object) -> Admission:
    """An answer but for the number in line, which grows over all tests."""
    assert isinstance(answer, Admission)
    return answer.model_copy(update={"ticket": None})
