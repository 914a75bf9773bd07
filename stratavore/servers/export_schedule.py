"""The schedule that has a host write what was used on a day: there if its settings name a directory."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
)

from stratavore import naming
from stratavore.models.exports import ExportRequest
from stratavore.servers.schedules import TASK_TIMEOUT, delete, have

MINUTE = 15
"""After midnight: agents' last replies of the day are counted by then."""
_A_DAY = timedelta(days=1)
_NOTE = "Each run writes the files that are missing, of a month at most; see stratavore tokens export."


async def keep(client: Client, host: str, *, wanted: bool) -> None:
    """Have the schedule of a host, or have none. Repeating it changes nothing.

    Raises:
        RPCError: Temporal does not take it (yet).
    """
    name = naming.export_of_host(host)
    if not wanted:
        await delete(client, name)
        return
    request = ExportRequest(host=host)
    after_midnight = ScheduleCalendarSpec(minute=[ScheduleRange(MINUTE)], comment=f"each day at 00:{MINUTE}")

    def made(state: ScheduleState | None) -> Schedule:
        return Schedule(
            action=ScheduleActionStartWorkflow(
                naming.EXPORT_WORKFLOW,
                request,
                id=name,
                task_queue=naming.host_queue(host),
                task_timeout=TASK_TIMEOUT,
                static_summary=request.title,
                static_details="What was written is its result.",
            ),
            spec=ScheduleSpec(calendars=[after_midnight], time_zone_name="UTC"),
            # One that waits for its host writes all that is missing.
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_A_DAY),
            state=state or ScheduleState(note=f"{request.title}. {_NOTE}"),
        )

    await have(client, name, made)
