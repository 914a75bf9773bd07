"""Move: the runner ends, and the next one of the same session begins on another host."""

from stratavore.models.session import Policy
from stratavore.models.states import ExitKind, RunnerStatus, SessionState
from tests.support.sessions import Sessions, host_worker
from tests.support.waiting import until

OTHER = "another-host"


async def test_the_next_runner_begins_on_the_other_host_when_the_last_has_ended(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    async with host_worker(world, OTHER):
        await session.move(OTHER)
        await session.runs(2)
        assert (world.live(session.id), world.doubled) == ([session.runner(2)], [])
        (record,) = world.records
        assert (record.state, record.status) == (SessionState.RECOVERING, RunnerStatus.TERMINATED)
        assert record.reason == f"it moves to {OTHER}"
        assert world.destinations == [None, OTHER]
        assert world.launches[1].resume
        # It has arrived: the next one is placed like any other.
        await session.ends(ExitKind.LOST, 2)
        await session.runs(3)
        assert world.destinations[2:] == [None]
        await session.terminate()
        await session.result()


async def test_who_is_asked_while_its_runner_still_begins_moves_too(sessions: Sessions) -> None:
    """As it can be where a daemon died over the launch: it is shown as running before its workflow hears of it."""
    world = sessions.world
    begun = world.hold("launch")
    session = await sessions.start()
    await until(lambda: "launch is held" in world.log)
    async with host_worker(world, OTHER):
        await session.move(OTHER)
        await session.heard_an_answer()  # of the other host
        begun.set()
        await session.runs(2)
        assert world.destinations == [None, OTHER]
        await session.ends(ExitKind.LOST, 2)
        await session.runs(3)
        assert world.destinations[2:] == [None]
        await session.terminate()
        await session.result()


async def test_a_host_that_cannot_have_it_is_asked_before_anything_ends(sessions: Sessions) -> None:
    world = sessions.world
    world.unwelcome = "the host has no directory /site"
    session = await sessions.start()
    await session.runs()
    async with host_worker(world, OTHER):
        await session.move(OTHER, request_id="r")
        await until(lambda: world.refused)
        (refused,) = world.refused
        assert (refused.request_id, refused.kind, refused.reason) == ("r", "move", world.unwelcome)
        assert (world.live(session.id), world.records, world.log.count("stop")) == ([session.runner(1)], [], 0)
        await session.terminate()
        await session.result()


async def test_a_host_that_dies_over_the_question_is_asked_again(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.hold("receive")
    async with host_worker(world, OTHER):
        await session.move(OTHER)
        await until(lambda: "receive" in world.log)
        del world.gates["receive"]  # this try says nothing any more, as if its daemon had died; the next one does
        await session.runs(2)
        assert world.log.count("receive") >= 2
        assert (world.refused, world.destinations) == ([], [None, OTHER])
        await session.terminate()
        await session.result()


async def test_one_that_is_refused_after_all_goes_on_where_it_was(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    world.ends_before_running.append(ExitKind.REFUSED)
    async with host_worker(world, OTHER):
        await session.move(OTHER)
        await session.runs(3)
        assert world.destinations == [None, OTHER, world.host]
        assert world.states == [SessionState.RECOVERING, SessionState.RECOVERING]
        assert world.records[1].reason == f"it refused on {OTHER}; it goes back to {world.host}"
        await session.terminate()
        await session.result()


async def test_one_that_is_refused_after_it_was_shown_as_running_goes_back_too(sessions: Sessions) -> None:
    """Its wrapper had begun before the program was found missing; and what lived there is not sent back later."""
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    async with host_worker(world, OTHER):
        await session.move(OTHER)
        await session.runs(2)
        await session.ends(ExitKind.REFUSED, 2)
        await session.runs(3)
        assert world.destinations == [None, OTHER, world.host]
        assert world.records[1].reason == f"it refused on {OTHER}; it goes back to {world.host}"
        await session.move(OTHER, generation=3)
        await session.runs(4)
        await session.restart(4)
        await session.runs(5)
        await session.ends(ExitKind.REFUSED, 5)
        await session.shows(SessionState.PARKED)
        await session.terminate()
        await session.result()


async def test_a_move_survives_the_run_that_heard_of_it(sessions: Sessions) -> None:
    world = sessions.world
    world.stubborn = True
    session = await sessions.start(policy=Policy(actions_a_run=10))
    await session.runs()
    async with host_worker(world, OTHER):
        await session.move(OTHER)
        await until(lambda: "stop" in world.log)
        for number in range(30):
            await session.send(f"text {number}")
        await until(lambda: len(world.typed) == 30)
        await session.ends(ExitKind.CRASHED)
        await session.runs(2)
        assert world.destinations == [None, OTHER]
        await session.terminate(force=True)
        await session.result()


async def test_who_means_an_earlier_runner_moves_no_later_one(sessions: Sessions) -> None:
    world = sessions.world
    session = await sessions.start()
    await session.runs()
    await session.restart()
    await session.runs(2)
    async with host_worker(world, OTHER):
        await session.move(OTHER, generation=1)
        await session.send("still here")
        await until(lambda: world.typed)
        assert world.live(session.id) == [session.runner(2)]
        await session.terminate()
        await session.result()
