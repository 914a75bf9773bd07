"""A period that begins anew, begun by a schedule: one activity, and what people can read of it in the Web UI."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.resets import ResetActivities
    from stratavore.models.resets import ResetDone, ResetRequest, ResetStep

TRY = timedelta(minutes=10)
"""One try: thousands who wait are let in a few at a time. The next try goes on where it stopped."""
HEARTBEAT = timedelta(seconds=5)
"""A daemon that dies in the middle costs this long."""
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
"""Servers that are away come back, and so does a clock that is behind."""


@workflow.defn(name="Reset")
class ResetWorkflow:
    """Begins a period of limits anew, and lets in who waited for it."""

    @workflow.run
    async def run(self, request: ResetRequest) -> str:
        """Do it once. Returns what came of it, in one sentence.

        The period is that of the run's own begin, and not of the time that it was planned for: one that is caught up
        after days begins the period that has come, and none of those that are over.
        """
        workflow.set_current_details(f"**{request.title}** is under way.")
        done: ResetDone = await workflow.execute_activity_method(
            ResetActivities.reset,
            ResetStep(
                what=request.what, period=request.period, timezone=request.timezone, due=workflow.info().start_time
            ),
            start_to_close_timeout=TRY,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=AGAIN,
            summary=request.title,
        )
        workflow.set_current_details(f"**{request.title}** {done.summary}.")
        return done.summary
