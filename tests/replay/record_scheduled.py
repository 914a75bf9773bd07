"""Record the histories that ``test_scheduled.py`` replays: runs of schedules on a real server, one file each.

Run ``python -m tests.replay.record_scheduled [PATH...]``. What ``record.py`` says of sessions holds: a run waits for
its host, or for its session's end, through any number of upgrades.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from stratavore import naming
from stratavore.models.exports import ExportDone, ExportRequest, ExportStep
from stratavore.models.resets import ResetDone, ResetRequest, ResetStep, Resettable
from stratavore.models.schedules import Prepared, PrepareRequest, ScheduledLaunch
from stratavore.models.session import LaunchSpec, SessionInput
from stratavore.models.states import ExitKind
from stratavore.models.upkeep import UpkeepDone, UpkeepPart, UpkeepRequest
from stratavore.servers.schedules import TASK_TIMEOUT
from tests.replay.recorder import record_all
from tests.support.sessions import Session, Sessions, host_worker, session_worker
from tests.support.waiting import answer
from tests.support.world import World
from workflows.exports import ExportWorkflow
from workflows.resets import ResetWorkflow
from workflows.scheduled import ScheduledLaunchWorkflow
from workflows.upkeep import UpkeepWorkflow

HISTORIES = Path(__file__).parent / "scheduled"
HOST = "host-1"
"""Where schedules' own work is done; the sessions run elsewhere, so that nobody polls for what it does not know."""
WORKFLOWS: dict[str, type] = {
    naming.SCHEDULED_WORKFLOW: ScheduledLaunchWorkflow,
    naming.RESET_WORKFLOW: ResetWorkflow,
    naming.EXPORT_WORKFLOW: ExportWorkflow,
    naming.UPKEEP_WORKFLOW: UpkeepWorkflow,
}
LAUNCH = ScheduledLaunch(
    schedule_id="1c1a2c52-7b8d-4a2c-9d5e-3f0b6a7c8d9e",
    name="nightly",
    project_id="5c2f9a5e-0d6b-4f5a-8a53-b0f4e2a1c3d7",
    project="site",
    host=HOST,
    cron="30 2 * * *",
    prompt="Test it",
    options={},
    headless=True,
)


class Begun:
    """What schedules begin, and how it is answered."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.refusal: str | None = None
        """Why nothing is launched."""
        self.launched_before = False
        """By a run that this one was reset from."""
        self.prepared: list[str] = []

    async def start(self, workflow: str, request: Any, name: str) -> WorkflowHandle[Any, str]:
        """As a schedule starts it."""
        return await self.world.client.start_workflow(
            workflow, request, id=name, task_queue=naming.UPKEEP_QUEUE, task_timeout=TASK_TIMEOUT, result_type=str
        )

    async def session(self) -> Session:
        """What was launched, once it runs."""

        async def look() -> str | None:
            return next(iter(self.prepared), None)

        session = Session(self.world, str(await answer(look, what="the preparation")))
        await session.runs()
        return session

    @activity.defn(name="prepare_scheduled")
    async def prepare(self, request: PrepareRequest) -> Prepared:
        if self.refusal:
            return Prepared(refusal=self.refusal)
        if self.launched_before:
            await Sessions(self.world).start(request.session_id)
        self.prepared.append(request.session_id)
        spec = LaunchSpec(agent="command", argv=("true",), cwd="/", prompt=LAUNCH.prompt)
        start = SessionInput(
            session_id=request.session_id, project_id=LAUNCH.project_id, project=LAUNCH.project, spec=spec
        )
        return Prepared(start=start)

    @activity.defn
    async def reset(self, step: ResetStep) -> ResetDone:
        return ResetDone(period="2026-11-01", let_in=3)

    @activity.defn(name="export_used")
    async def export(self, step: ExportStep) -> ExportDone:
        return ExportDone(written=("tokens-2026-10-31.csv",))

    @activity.defn
    async def keep_up(self, request: UpkeepRequest) -> UpkeepDone:
        return UpkeepDone()


Run = WorkflowHandle[Any, str]


async def _launch(begun: Begun) -> Run:
    return await begun.start(naming.SCHEDULED_WORKFLOW, LAUNCH, naming.schedule_id(LAUNCH.name))


async def launched(begun: Begun) -> Run:
    run = await _launch(begun)
    await (await begun.session()).ends(ExitKind.COMPLETED)
    return run


async def launched_before(begun: Begun) -> Run:
    begun.launched_before = True
    run = await _launch(begun)
    await run.result()
    await (await begun.session()).terminate()
    return run


async def launch_refused(begun: Begun) -> Run:
    begun.refusal = "The directory /srv/site of the project is no more."
    return await _launch(begun)


async def launch_cancelled(begun: Begun) -> Run:
    run = await _launch(begun)
    await begun.session()
    await run.cancel()
    return run


async def launch_ended_by_hand(begun: Begun) -> Run:
    run = await _launch(begun)
    await (await begun.session()).handle.terminate()
    return run


async def quotas_reset(begun: Begun) -> Run:
    return await begun.start(naming.RESET_WORKFLOW, ResetRequest(what=Resettable.QUOTAS), naming.QUOTAS_RESET)


async def budgets_reset(begun: Begun) -> Run:
    request = ResetRequest(what=Resettable.BUDGETS, period="weekly", timezone="Europe/Berlin")
    return await begun.start(naming.RESET_WORKFLOW, request, naming.budgets_reset(request.period, request.timezone))


async def exported(begun: Begun) -> Run:
    return await begun.start(naming.EXPORT_WORKFLOW, ExportRequest(host=HOST), naming.export_of_host(HOST))


async def kept_up(begun: Begun) -> Run:
    request = UpkeepRequest(part=UpkeepPart.HOST, host=HOST)
    return await begun.start(naming.UPKEEP_WORKFLOW, request, naming.upkeep_of_host(HOST))


PATHS: tuple[Callable[[Begun], Awaitable[Run]], ...] = (
    launched,
    launched_before,
    launch_refused,
    launch_cancelled,
    launch_ended_by_hand,
    quotas_reset,
    budgets_reset,
    exported,
    kept_up,
)


async def record(path: Callable[[Begun], Awaitable[Run]], client: Client) -> None:
    """Walk a path and write the history of its run."""
    begun = Begun(World(client, host="host-2"))
    of_all = Worker(
        client,
        task_queue=naming.UPKEEP_QUEUE,
        workflows=list(WORKFLOWS.values()),
        activities=[begun.reset, begun.export, begun.keep_up],
    )
    of_host = Worker(client, task_queue=naming.host_queue(HOST), activities=[begun.prepare])
    async with session_worker(begun.world), host_worker(begun.world), of_all, of_host:
        run = await path(begun)
        with suppress(WorkflowFailureError):
            await run.result()
        history = json.loads((await run.fetch_history()).to_json(), object_hook=_without_traces)
        text = json.dumps(history, indent=1)
    (HISTORIES / f"{path.__name__}.json").write_text(text + "\n")


def _without_traces(value: dict[str, Any]) -> dict[str, Any]:
    """Traces of failures name files of the machine that recorded them."""
    value.pop("stackTrace", None)
    return value


if __name__ == "__main__":
    asyncio.run(record_all(PATHS, record))
