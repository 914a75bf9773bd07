"""Upkeep, begun by a schedule: one activity, and what people can read of it in the Web UI."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.upkeep import UpkeepActivities
    from stratavore.models.upkeep import UpkeepDone, UpkeepRequest

TRY = timedelta(minutes=10)
"""One try: a host with thousands of runners, each of which is ended with some grace."""
HEARTBEAT = timedelta(seconds=5)
"""A daemon that dies in the middle costs this long; the next one begins anew."""
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
"""Servers that are away come back, and so does a host; no other run begins meanwhile."""


@workflow.defn(name="Upkeep")
class UpkeepWorkflow:
    """Compares those who know of sessions, repairs what is safe, removes what nobody needs any more."""

    @workflow.run
    async def run(self, request: UpkeepRequest) -> str:
        """Do it once, on the queue that the run was started on. Returns what was found, in one sentence."""
        workflow.set_current_details(f"**{request.title}** is under way.")
        done: UpkeepDone = await workflow.execute_activity_method(
            UpkeepActivities.keep_up,
            request,
            start_to_close_timeout=TRY,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=AGAIN,
            summary=request.title,
        )
        lines = [f"**{request.title}**: {done.summary}", ""]
        lines += [f"- {one}" for one in (*done.sentences, *(f"not looked at: {one}" for one in done.unseen))]
        workflow.set_current_details("\n".join(lines))
        return done.summary
