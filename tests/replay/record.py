"""Record the histories that ``test_replay.py`` replays: real runs on a real server, one file each.

Run ``python -m tests.replay.record [PATH...]`` after a change of the workflow that is meant to differ, and never to
silence a test: a session that is open now replays with the code of tomorrow. Such a change needs a patch
(``workflows/patches.py``), and the histories recorded before it stay beside the new ones.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from temporalio.client import Client

from stratavore.models.session import Policy, ResumeSignal
from stratavore.models.states import ExitKind, SessionState
from tests.replay.recorder import record_all
from tests.support.sessions import Session, Sessions, host_worker, session_worker
from tests.support.waiting import until
from tests.support.world import World

KILLED = 128 + 9
"""The exit code that a shell gives for SIGKILL."""
HISTORIES = Path(__file__).parent / "histories"


async def completed(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    await session.ends(ExitKind.COMPLETED)
    return session


async def crashed_and_parked(sessions: Sessions) -> Session:
    session = await sessions.start(policy=Policy(crashes_before_park=2))
    await session.runs()
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    await session.ends(ExitKind.CRASHED, 2)
    await session.shows(SessionState.PARKED)
    await session.resume("resume")
    await session.runs(3)
    await session.ends(ExitKind.COMPLETED, 3)
    return session


async def killed_and_parked(sessions: Sessions) -> Session:
    """As it was before ``patches.KILLS_DO_NOT_PARK``: parked."""
    session = await sessions.start(policy=Policy(crashes_before_park=2))
    await session.runs()
    await session.ends(ExitKind.CRASHED, 1, KILLED)
    await session.runs(2)
    await session.ends(ExitKind.CRASHED, 2, KILLED)
    await until(lambda: len(sessions.world.records) == 2)
    await session.terminate("terminate")
    return session


async def killed(sessions: Sessions) -> Session:
    """As often as would park it if it ended so by itself."""
    session = await sessions.start(policy=Policy(crashes_before_park=2))
    for generation in (1, 2):
        await session.runs(generation)
        await session.ends(ExitKind.CRASHED, generation, KILLED)
    await session.runs(3)
    await session.ends(ExitKind.COMPLETED, 3)
    return session


async def paused_and_queued(sessions: Sessions) -> Session:
    """Its slot goes to another session meanwhile."""
    world = sessions.world
    world.slots = 1
    session = await sessions.start()
    await session.runs()
    other = await sessions.start()
    await other.says("place 1 in line")
    await session.pause("pause")
    await other.runs()
    await session.resume("resume")
    await session.says("place 1 in line")
    await other.terminate()
    await session.runs(2)
    await session.terminate("terminate", force=True)
    return session


async def restarted(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    await session.restart(1, "restart")
    await session.runs(2)
    await session.ends(ExitKind.COMPLETED, 2)
    return session


async def typed_and_refused(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    await session.send("hello", "first")
    await until(lambda: sessions.world.typed)
    await session.pause("pause")
    await session.shows(SessionState.PAUSED)
    await session.send("too late", "second")
    await until(lambda: sessions.world.refused)
    await session.terminate("terminate")
    return session


async def cancelled(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    await session.handle.cancel()
    return session


async def adopted(sessions: Sessions) -> Session:
    session = await sessions.start()
    await session.runs()
    await session.handle.terminate()
    await sessions.start(session.id, adopts=True, resumes=True, signal="resume", message=ResumeSignal(request_id="r"))
    await session.shows(SessionState.RUNNING)
    await session.ends(ExitKind.COMPLETED)
    return session


async def continued(sessions: Sessions) -> Session:
    """As sessions from before runs counted their actions."""
    return await _continued(sessions, Policy(history_length=30))


async def continued_by_actions(sessions: Sessions) -> Session:
    return await _continued(sessions, Policy(actions_a_run=10))


async def _continued(sessions: Sessions, policy: Policy) -> Session:
    session = await sessions.start(policy=policy)
    await session.runs()
    first = await session.run_id()
    for number in range(5):
        await session.send(f"text {number}", f"request {number}")
    await session.continues(first)
    await session.ends(ExitKind.COMPLETED)
    return session


async def moved(sessions: Sessions) -> Session:
    """As it was before ``patches.REFUSED_AFTER_ARRIVAL``."""
    session = await sessions.start()
    await session.runs()
    async with host_worker(sessions.world, "host-2"):
        await session.move("host-2", request_id="move")
        await session.runs(2)
        await session.ends(ExitKind.COMPLETED, 2)
        await session.result()
    return session


async def stayed_while_it_began(sessions: Sessions) -> Session:
    """As it was before ``patches.MOVED_WHILE_IT_BEGAN``: started anew where it was."""
    return await _moved_while_it_began(sessions)


async def moved_while_it_began(sessions: Sessions) -> Session:
    return await _moved_while_it_began(sessions)


async def _moved_while_it_began(sessions: Sessions) -> Session:
    begun = sessions.world.hold("launch")
    session = await sessions.start()
    await until(lambda: "launch is held" in sessions.world.log)
    async with host_worker(sessions.world, "host-2"):
        await session.move("host-2", request_id="move")
        await session.heard_an_answer()
        begun.set()
        await session.runs(2)
        await session.ends(ExitKind.COMPLETED, 2)
        await session.result()
    return session


async def moved_back(sessions: Sessions) -> Session:
    """It is refused after it was shown as running there."""
    session = await sessions.start()
    await session.runs()
    async with host_worker(sessions.world, "host-2"):
        await session.move("host-2", request_id="move")
        await session.runs(2)
        await session.ends(ExitKind.REFUSED, 2)
        await session.runs(3)
        await session.ends(ExitKind.COMPLETED, 3)
        await session.result()
    return session


async def told_again(sessions: Sessions) -> Session:
    """As it was before ``patches.TOLD_UNTIL_TAKEN``: what could not be typed was not tried again."""
    session = await _is_told_what_was_unheard(sessions)
    await until(lambda: sessions.world.unready == 0)
    while len((await session.handle.describe()).raw_description.pending_activities) > 1:  # to supervise it
        await asyncio.sleep(0.02)
    await session.says("running")  # a query is answered when all of that is heard
    await session.terminate("terminate")
    return session


async def told_until_taken(sessions: Sessions) -> Session:
    session = await _is_told_what_was_unheard(sessions)
    await until(lambda: sessions.world.typed == ["unheard"])
    await session.terminate("terminate")
    return session


async def _is_told_what_was_unheard(sessions: Sessions) -> Session:
    """By a runner that is not ready for it at first."""
    session, world = await sessions.start(), sessions.world
    await session.runs()
    world.unheard.append("unheard")
    world.unready = 1
    await session.ends(ExitKind.CRASHED)
    await session.runs(2)
    return session


async def prompt_held_back(sessions: Sessions) -> Session:
    """As it was before ``patches.PROMPT_IS_HANDED_ON``: no next run until the agent has taken its prompt."""
    session = await _waits_with_its_prompt(sessions)
    await session.terminate("terminate")
    return session


async def prompt_handed_on(sessions: Sessions) -> Session:
    first = await (session := await _waits_with_its_prompt(sessions)).run_id()
    await session.continues(first)
    sessions.world.unready = 0
    await until(lambda: sessions.world.typed == ["the first words"])
    await session.terminate("terminate")
    return session


async def _waits_with_its_prompt(sessions: Sessions) -> Session:
    """In a run that is long enough."""
    world = sessions.world
    world.unready = tries = 1000
    session = await sessions.start(policy=Policy(actions_a_run=10), prompt="the first words")
    await session.runs()
    await until(lambda: world.unready < tries)
    for _ in range(10):
        await session.wake()
    return session


PATHS: tuple[Callable[[Sessions], Awaitable[Session]], ...] = (
    completed,
    crashed_and_parked,
    killed_and_parked,
    killed,
    paused_and_queued,
    restarted,
    typed_and_refused,
    cancelled,
    adopted,
    continued,
    continued_by_actions,
    moved,
    moved_back,
    moved_while_it_began,
    stayed_while_it_began,
    told_again,
    told_until_taken,
    prompt_held_back,
    prompt_handed_on,
)


async def record(path: Callable[[Sessions], Awaitable[Session]], client: Client) -> None:
    """Walk a path and write the history of each run of its workflow, the first run's first."""
    name = path.__name__
    world = World(client, host="host-1")
    async with session_worker(world), host_worker(world):
        session = await path(Sessions(world))
        await session.result()
    runs = [run async for run in client.list_workflows(f"WorkflowId = '{session.handle.id}'")]
    runs.sort(key=lambda run: run.start_time)
    for number, run in enumerate(runs, start=1):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        text = json.dumps(json.loads(history.to_json()), indent=1)
        (HISTORIES / f"{name}-{number}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(record_all(PATHS, record))
