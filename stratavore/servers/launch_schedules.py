"""Schedules that launch sessions: Temporal alone has them, with all that they say."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice.v1 import PatchScheduleRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming
from stratavore.cron import Cron
from stratavore.errors import InvalidInput
from stratavore.models.schedules import ScheduledLaunch
from stratavore.models.states import Overlap
from stratavore.search_attributes import HOST, PROJECT
from stratavore.servers import schedules
from stratavore.servers.schedules import TASK_TIMEOUT

OVERLAPS = {
    Overlap.SKIP: ScheduleOverlapPolicy.SKIP,
    Overlap.BUFFER: ScheduleOverlapPolicy.BUFFER_ONE,
    Overlap.ALLOW: ScheduleOverlapPolicy.ALLOW_ALL,
    Overlap.REPLACE: ScheduleOverlapPolicy.CANCEL_OTHER,
}
_BY_PEOPLE = "See it with: stratavore schedule list"


@dataclass(frozen=True)
class Found:
    """A schedule as it is now."""

    launch: ScheduledLaunch
    described: ScheduleDescription

    @property
    def overlap(self) -> str:
        """In the words of the command line; Temporal's own, if somebody chose another one there."""
        policy = self.described.schedule.policy.overlap
        return next((word for word, known in OVERLAPS.items() if known is policy), policy.name.lower())


async def create(client: Client, launch: ScheduledLaunch, cron: Cron, timezone: str, overlap: Overlap) -> bool:
    """Make a schedule. Returns False if there is another one of the name; repeated, it changes nothing.

    What it missed is made up for if its next time has not come meanwhile, nor a day passed: once.

    Raises:
        RPCError: Temporal does not take it.
    """
    id_ = naming.schedule_id(launch.name)
    action = ScheduleActionStartWorkflow(
        naming.SCHEDULED_WORKFLOW,
        launch,
        id=id_,
        task_queue=naming.UPKEEP_QUEUE,
        task_timeout=TASK_TIMEOUT,
        typed_search_attributes=_attributes(launch),
        static_summary=launch.title,
        static_details="It lasts as long as the session that it launches.",
    )
    made = Schedule(
        action=action,
        # The Web UI shows the spec without its zeros, as if it were each second; the comment says what is meant.
        spec=ScheduleSpec(cron_expressions=[f"{cron.fields} # {cron.words()}"], time_zone_name=timezone),
        policy=SchedulePolicy(overlap=OVERLAPS[overlap], catchup_window=cron.gap),
        state=ScheduleState(note=_note(launch, timezone)),
    )
    try:
        await client.create_schedule(id_, made, search_attributes=_attributes(launch))
    except ScheduleAlreadyRunningError:
        found = await find(client, launch.name)
        return found is not None and found.launch.schedule_id == launch.schedule_id
    return True


async def find(client: Client, name: str) -> Found | None:
    """The schedule of a name; None: there is none.

    Raises:
        RPCError: Temporal does not answer.
    """
    try:
        described = await client.get_schedule_handle(naming.schedule_id(name)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    action = described.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    (launch,) = await client.data_converter.decode(action.args, [ScheduledLaunch])
    return Found(launch, described)


async def names(client: Client) -> list[str]:
    """What all of them are called, in order. One that was just made may be missing for a moment.

    Raises:
        RPCError: Temporal does not answer.
    """
    listed: AsyncIterator[str] = (one.id async for one in await client.list_schedules(page_size=500))
    return sorted([name async for id_ in listed if (name := naming.schedule_name(id_)) is not None])


async def ids(client: Client) -> set[str]:
    """The ids of all of them.

    Raises:
        RPCError: Temporal does not answer.
    """
    found = [await find(client, name) for name in await names(client)]
    return {one.launch.schedule_id for one in found if one is not None}


async def names_of_host(client: Client, host: str) -> list[str]:
    """What those are called that launch on a host, or wait for it, in order.

    Raises:
        RPCError: Temporal does not answer.
    """
    found = [await find(client, name) for name in await names(client)]
    return [one.launch.name for one in found if one is not None and one.launch.host == host]


async def delete(client: Client, name: str) -> None:
    """Have none of the name. What it launched goes on.

    Raises:
        RPCError: Temporal does not answer.
    """
    await schedules.delete(client, naming.schedule_id(name))


async def delete_of_project(client: Client, project_id: str) -> None:
    """Have none of a project.

    Raises:
        RPCError: Temporal does not answer.
    """
    for name in await names(client):
        found = await find(client, name)
        if found is not None and found.launch.project_id == project_id:
            await delete(client, name)


async def pause(client: Client, found: Found, *, paused: bool) -> None:
    """Let it rest, or go on; what it is remains to be read beside it.

    Raises:
        RPCError: Temporal does not answer, or there is none.
    """
    launch = found.launch
    handle = client.get_schedule_handle(naming.schedule_id(launch.name))
    change = handle.pause if paused else handle.unpause
    note = _note(launch, found.described.schedule.spec.time_zone_name or "UTC")
    await change(note=f"Paused with: stratavore schedule pause. {note}" if paused else note)


async def trigger(client: Client, name: str, request_id: str) -> None:
    """Have it launch now, as far as its overlap lets it; the same request, repeated, is one.

    Raises:
        RPCError: Temporal does not answer, or there is none.
    """
    await client.workflow_service.patch_schedule(
        PatchScheduleRequest(
            namespace=client.namespace,
            schedule_id=naming.schedule_id(name),
            patch=SchedulePatch(trigger_immediately=TriggerImmediatelyRequest()),
            identity=client.identity,
            request_id=request_id,
        ),
        retry=True,
    )


def _note(launch: ScheduledLaunch, timezone: str) -> str:
    try:
        when = Cron.parse(launch.cron).words()
    except InvalidInput:  # of another version
        when = launch.cron
    return f"{launch.title}, by the host {launch.host}: {when}, {timezone}. {_BY_PEOPLE}"[:500]


def _attributes(launch: ScheduledLaunch) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(PROJECT, launch.project), SearchAttributePair(HOST, launch.host)])
