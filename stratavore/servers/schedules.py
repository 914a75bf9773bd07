"""The schedules of upkeep: made when a daemon starts, and brought up to its version and its settings.

What a person did to one stays: a paused schedule stays paused. One that was deleted is made again by the next start.
"""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.models.upkeep import UpkeepPart, UpkeepRequest

CATCH_UP = timedelta(minutes=1)
"""What should have begun earlier, while Temporal was away, is left out: the next run compares everything anyway."""
SPREAD = 0.1
"""Of the interval: so much later a run may begin, so that not all hosts ask Postgres at once."""
_RUNS = "Each run compares all who know of sessions, repairs what is safe and says the rest; see stratavore reconcile."


async def keep(client: Client, host: str, interval: timedelta) -> None:
    """Have the schedule of the servers, and that of this host. Repeating it changes nothing.

    Args:
        client: of the namespace.
        host: this daemon's.
        interval: between two runs.

    Raises:
        RPCError: Temporal does not take them (yet).
    """
    servers = UpkeepRequest(part=UpkeepPart.SERVERS)
    own = UpkeepRequest(part=UpkeepPart.HOST, host=host)
    await _have(client, naming.UPKEEP_OF_SERVERS, servers, naming.UPKEEP_QUEUE, interval)
    await _have(client, naming.upkeep_of_host(host), own, naming.host_queue(host), interval)


async def remove(client: Client, host: str) -> None:
    """Have none for a host that is no more, nor a run that waits for it. Repeating it changes nothing.

    Raises:
        RPCError: Temporal does not answer.
    """
    name = naming.upkeep_of_host(host)
    try:
        schedule = client.get_schedule_handle(name)
        waiting = (await schedule.describe()).info.running_actions
        await schedule.delete()
        for one in waiting:
            assert isinstance(one, ScheduleActionExecutionStartWorkflow)
            run = client.get_workflow_handle(one.workflow_id, first_execution_run_id=one.first_execution_run_id)
            await run.terminate(f"the host {host} has not been there for a long time")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def _have(client: Client, name: str, request: UpkeepRequest, queue: str, interval: timedelta) -> None:
    try:
        await client.create_schedule(name, _schedule(name, request, queue, interval, ScheduleState(note=_RUNS)))
    except ScheduleAlreadyRunningError:

        def brought_up(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(_schedule(name, request, queue, interval, found.description.schedule.state))

        await client.get_schedule_handle(name).update(brought_up)


def _schedule(name: str, request: UpkeepRequest, queue: str, interval: timedelta, state: ScheduleState) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            naming.UPKEEP_WORKFLOW,
            request,
            id=name,
            task_queue=queue,
            task_timeout=timedelta(seconds=5),
            static_summary=request.title,
            static_details="What was found and done is its result.",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)], jitter=interval * SPREAD),
        # A run that waits for a host that is away, or for Postgres, is the only one of its schedule.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=state,
    )
