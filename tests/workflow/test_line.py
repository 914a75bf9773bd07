"""The waiting line: who gets a slot, and how it hears of it."""

import uuid

from stratavore.models.session import GrantSignal, Operator
from stratavore.models.states import ExitKind, SessionState
from tests.support.sessions import Sessions
from tests.support.waiting import until
from workflows.session import SessionWorkflow


async def test_a_slot_goes_to_the_first_in_line_and_wakes_it(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    first = await sessions.start()
    await first.runs()
    waiting = []
    for place in (1, 2, 3):
        waiting.append(await sessions.start())
        await waiting[-1].says(f"**queued**: place {place} in line")
    before = first
    for session in waiting:
        await before.ends(ExitKind.COMPLETED)
        await session.runs()
        assert world.holders == {session.id}
        before = session
    await before.terminate()
    assert await before.result() == "ended on request"
    assert [launch.session_id for launch in world.launches] == [first.id, *(session.id for session in waiting)]


async def test_who_is_put_away_in_line_loses_its_place(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    holder, early, late = [await sessions.start() for _ in range(3)]
    await until(lambda: len(world.line) == 2)
    waiting = [one for one in (holder, early, late) if one.id in world.line]
    waiting.sort(key=lambda one: world.line.index(one.id))
    (running,) = (one for one in (holder, early, late) if one.id in world.holders)
    await waiting[0].pause()
    await waiting[0].shows(SessionState.PAUSED)
    await running.terminate()
    await waiting[1].runs()
    await waiting[0].resume()
    await waiting[0].says("**queued**: place 1 in line")
    await waiting[0].terminate()
    assert await waiting[0].result() == "ended on request"
    assert not world.line
    await waiting[1].terminate()
    await waiting[1].result()
    await running.result()


async def test_a_granted_session_that_has_closed_meanwhile_fails_nobody(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    session = await sessions.start()
    await session.runs()
    world.line.append(str(uuid.uuid4()))
    await session.pause()
    await session.shows(SessionState.PAUSED)
    world.holders.clear()
    await session.resume()
    await session.runs(2)
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_a_grant_that_comes_while_it_asks_is_not_overheard(sessions: Sessions) -> None:
    """The answer "wait" is on its way when the slot is given."""
    world = sessions.world
    world.slots = 1
    holder = await sessions.start()
    await holder.runs()
    gate = world.hold("admit")
    session = await sessions.start()
    await until(lambda: "admit is held" in world.log)
    await holder.ends(ExitKind.COMPLETED)
    await holder.result()
    gate.set()
    await session.runs()
    await session.terminate()
    await session.result()


async def test_a_slot_that_was_taken_away_is_taken_again(sessions: Sessions) -> None:
    """A dead worker's step gave it back, and this workflow believes that it holds it."""
    world = sessions.world
    gate = world.hold("admit")
    session = await sessions.start()
    await until(lambda: "admit is held" in world.log)
    world.holders.clear()
    gate.set()
    await session.runs()
    assert world.log.count("admit") == 2
    assert world.holders == {session.id}
    await session.terminate()
    await session.result()


OPERATOR = Operator(id="1", user="ann", uid=1, host="h", terminal="pts/3")


async def test_an_operator_lets_a_session_past_the_line_once(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    first = await sessions.start()
    await first.runs()
    waits = await sessions.start()
    await waits.says("place 1 in line")
    passes = await sessions.start(god=OPERATOR)
    await passes.runs()
    assert len(world.holders) == 2
    # What was put away takes its next slot like any other.
    await passes.pause()
    await passes.shows(SessionState.PAUSED)
    await passes.resume()
    await passes.says("place 2 in line")
    await passes.resume(god=OPERATOR)
    await passes.runs(2)
    assert world.line == [waits.id]
    await passes.terminate(god=OPERATOR)
    assert await passes.result() == "ended on request of ann on h, pts/3, with --god"
    await first.terminate()
    assert await first.result() == "ended on request"
    await waits.runs()
    await waits.terminate()
    await waits.result()


async def test_who_waits_for_a_host_is_woken_when_one_is_there(sessions: Sessions) -> None:
    sessions.world.hosts_up = False
    session = await sessions.start()
    await session.says("**queued**: no host is up")
    sessions.world.hosts_up = True
    await session.handle.signal(SessionWorkflow.grant, GrantSignal())
    await session.runs()  # long before the next look of its own
    await session.terminate()
    assert await session.result() == "ended on request"


async def test_who_does_not_want_to_wait_ends_where_there_is_no_slot(sessions: Sessions) -> None:
    world = sessions.world
    world.slots = 1
    holder = await sessions.start(no_queue=True)
    await holder.runs()
    refused = await sessions.start(no_queue=True)
    assert await refused.result() == "no slot was free: all are taken"
    assert not world.line
    await holder.ends(ExitKind.CRASHED)
    await holder.runs(2)
    await holder.pause()
    await holder.shows(SessionState.PAUSED)
    other = await sessions.start()
    await other.runs()
    await holder.resume()  # who was let in once waits like everybody
    await holder.says("**queued**: place 1 in line")
    for one in (other, holder):
        await one.terminate()
        await one.result()
