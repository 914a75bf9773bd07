"""The schedules of upkeep and of resets: made when a daemon starts, and brought up to its version and its settings.

What a person did to one stays: a paused schedule stays paused. One that was deleted is made again by the next start.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.budgets import Period
from stratavore.models.resets import ResetRequest, Resettable
from stratavore.models.upkeep import UpkeepPart, UpkeepRequest

CATCH_UP = timedelta(minutes=1)
"""What should have begun earlier, while Temporal was away, is left out: the next run compares everything anyway."""
TASK_TIMEOUT = timedelta(seconds=5)
"""Of a run's workflow, as of a session's."""
SPREAD = 0.1
"""Of the interval: so much later a run may begin, so that not all hosts ask Postgres at once."""
_RESETS = "Each run lets in who waited for the period that begins, in their order. See it with: stratavore {noun} show"
_NOUNS = {Resettable.QUOTAS: "quotas", Resettable.BUDGETS: "budget"}
_RUNS = "Each run compares all who know of sessions, repairs what is safe and says the rest; see stratavore reconcile."


Clocks = Callable[[], Awaitable[Iterable[tuple[str, str]]]]
"""Asks for the periods, and the time zones whose clocks they follow, that there are budgets of."""


async def keep(client: Client, host: str, interval: timedelta) -> None:
    """Have the schedules of the servers and of resets, and that of this host. Repeating it changes nothing.

    Args:
        client: of the namespace.
        host: this daemon's.
        interval: between two runs of upkeep.

    Raises:
        RPCError: Temporal does not take them (yet).
    """
    servers = UpkeepRequest(part=UpkeepPart.SERVERS)
    own = UpkeepRequest(part=UpkeepPart.HOST, host=host)
    day = ResetRequest(what=Resettable.QUOTAS)
    for name, made in (
        (naming.UPKEEP_OF_SERVERS, _upkeep(naming.UPKEEP_OF_SERVERS, servers, naming.UPKEEP_QUEUE, interval)),
        (naming.upkeep_of_host(host), _upkeep(naming.upkeep_of_host(host), own, naming.host_queue(host), interval)),
        (naming.QUOTAS_RESET, _reset(naming.QUOTAS_RESET, day, _DAILY, "UTC")),
    ):
        await have(client, name, made)


async def have_resets(client: Client, clocks: Iterable[tuple[str, str]]) -> None:
    """Have schedules that begin periods of budgets anew. Repeating it changes nothing.

    Args:
        client: of the namespace.
        clocks: periods, and time zones whose clock they follow.

    Raises:
        RPCError: Temporal does not take them (now).
    """
    for period, timezone in clocks:
        name = naming.budgets_reset(period, timezone)
        request = ResetRequest(what=Resettable.BUDGETS, period=period, timezone=timezone)
        await have(client, name, _reset(name, request, _BUDGETS[Period(period)], timezone))


async def keep_resets(client: Client, clocks: Clocks) -> None:
    """Have those, and no others of the kind.

    A budget may be set meanwhile, and find the schedule that is deleted then: so it is asked again what there are.

    Raises:
        RPCError: Temporal does not answer.
    """
    wanted = {naming.budgets_reset(*clock) for clock in await clocks()}
    async for one in await client.list_schedules():
        if one.id.startswith(naming.BUDGETS_RESET) and one.id not in wanted:
            await delete(client, one.id)
    await have_resets(client, await clocks())


async def delete(client: Client, name: str) -> None:
    """Have no schedule of that name. Repeating it changes nothing.

    Raises:
        RPCError: Temporal does not answer.
    """
    try:
        await client.get_schedule_handle(name).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def remove(client: Client, host: str) -> None:
    """Have none for a host that is no more, nor a run that waits for it. Repeating it changes nothing.

    Raises:
        RPCError: Temporal does not answer.
    """
    for name in (naming.upkeep_of_host(host), naming.export_of_host(host)):
        await _remove(client, name, f"the host {host} has not been there for a long time")


async def _remove(client: Client, name: str, reason: str) -> None:
    try:
        schedule = client.get_schedule_handle(name)
        waiting = (await schedule.describe()).info.running_actions
        await schedule.delete()
        for one in waiting:
            assert isinstance(one, ScheduleActionExecutionStartWorkflow)
            run = client.get_workflow_handle(one.workflow_id, first_execution_run_id=one.first_execution_run_id)
            await run.terminate(reason)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


Made = Callable[[ScheduleState | None], Schedule]
"""A schedule in the state that people left it in; None: a new one."""


async def have(client: Client, name: str, made: Made) -> None:
    """Have a schedule, as it is made now, in the state that people left it in. Repeating it changes nothing.

    Raises:
        RPCError: Temporal does not take it (now).
    """
    try:
        await client.create_schedule(name, made(None))
    except ScheduleAlreadyRunningError:

        def brought_up(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(made(found.description.schedule.state))

        await client.get_schedule_handle(name).update(brought_up)


def _upkeep(name: str, request: UpkeepRequest, queue: str, interval: timedelta) -> Made:
    def made(state: ScheduleState | None) -> Schedule:
        return Schedule(
            action=ScheduleActionStartWorkflow(
                naming.UPKEEP_WORKFLOW,
                request,
                id=name,
                task_queue=queue,
                task_timeout=TASK_TIMEOUT,
                static_summary=request.title,
                static_details="What was found and done is its result.",
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)], jitter=interval * SPREAD),
            # A run that waits for a host that is away, or for Postgres, is the only one of its schedule.
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
            state=state or ScheduleState(note=f"{request.title}. {_RUNS}"),
        )

    return made


def _reset(name: str, request: ResetRequest, begins: "_Begins", timezone: str) -> Made:
    """At each begin of a period."""

    def made(state: ScheduleState | None) -> Schedule:
        return Schedule(
            action=ScheduleActionStartWorkflow(
                naming.RESET_WORKFLOW,
                request,
                id=name,
                task_queue=naming.UPKEEP_QUEUE,
                task_timeout=TASK_TIMEOUT,
                static_summary=request.title,
                static_details="How many it let in is its result.",
            ),
            spec=ScheduleSpec(calendars=[begins.calendar], time_zone_name=timezone),
            # One that still waits for Postgres is followed by the next period's. What was missed is caught up once.
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ONE, catchup_window=begins.length),
            state=state or ScheduleState(note=f"{request.title}. {_RESETS.format(noun=_NOUNS[request.what])}"),
        )

    return made


class _Begins(NamedTuple):
    """When periods begin, by the clock of a time zone, and how long they last."""

    calendar: ScheduleCalendarSpec
    length: timedelta


_DAILY = _Begins(ScheduleCalendarSpec(comment="each day at 00:00"), timedelta(days=1))
_BUDGETS = {
    Period.HOURLY: _Begins(
        ScheduleCalendarSpec(hour=[ScheduleRange(0, 23)], comment="each hour at :00"), timedelta(hours=1)
    ),
    Period.DAILY: _DAILY,
    Period.WEEKLY: _Begins(
        ScheduleCalendarSpec(day_of_week=[ScheduleRange(1)], comment="each Monday at 00:00"), timedelta(weeks=1)
    ),
    Period.MONTHLY: _Begins(
        ScheduleCalendarSpec(day_of_month=[ScheduleRange(1)], comment="each first day of a month at 00:00"),
        timedelta(days=31),
    ),
}
