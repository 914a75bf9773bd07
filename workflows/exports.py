"""What was used, written for other programs, begun by a schedule: one activity, and what people can read of it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.exports import ExportActivities
    from stratavore import naming
    from stratavore.models.exports import ExportDone, ExportRequest, ExportStep

TRY = timedelta(minutes=10)
"""One try: many sessions, and a slow disk."""
HEARTBEAT = timedelta(seconds=5)
"""A daemon that dies in the middle costs this long."""
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10))
"""Servers that are away come back; a directory that cannot be written is mended by a person, who is told."""


@workflow.defn(name=naming.EXPORT_WORKFLOW)
class ExportWorkflow:
    """Writes the files of days that are over."""

    @workflow.run
    async def run(self, request: ExportRequest) -> str:
        """Do it once, on the queue that the run was started on. Returns what was done, in one sentence."""
        workflow.set_current_details(f"**{request.title}** is under way.")
        done: ExportDone = await workflow.execute_activity_method(
            ExportActivities.export,
            ExportStep(due=workflow.info().start_time),
            start_to_close_timeout=TRY,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=AGAIN,
            summary=request.title,
        )
        lines = [f"**{request.title}**: {done.summary}", "", *(f"- {one}" for one in done.written)]
        workflow.set_current_details("\n".join(lines))
        return done.summary
