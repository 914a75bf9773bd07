"""A launch that a schedule begins: one session, and a run that lasts as long as it, so that runs can overlap."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.schedules import ScheduleActivities
    from stratavore import naming
    from stratavore.models.schedules import Prepared, PrepareRequest, ScheduledLaunch, session_of_run
    from stratavore.search_attributes import of_start, summary_of_start
    from workflows import timeouts

PREPARE = timedelta(seconds=20)
"""One try; a host that is away is waited for without end."""


@workflow.defn(name=naming.SCHEDULED_WORKFLOW)
class ScheduledLaunchWorkflow:
    """Starts one session as its child, which outlives it, and waits until that ends."""

    @workflow.run
    async def run(self, launch: ScheduledLaunch) -> str:
        """Launch, and wait. Returns why the session ended.

        Whoever cancels the run, a schedule that replaces it too, ends the session in order.

        Raises:
            ApplicationError: the session cannot be launched; says why.
        """
        info = workflow.info()
        session_id = session_of_run(info.workflow_id, info.first_execution_run_id)
        title = f"**{launch.title}**"
        workflow.set_current_details(f"{title} waits for the host `{launch.host}`.")
        prepared: Prepared = await workflow.execute_activity_method(
            ScheduleActivities.prepare,
            PrepareRequest(launch=launch, session_id=session_id),
            task_queue=naming.host_queue(launch.host),
            start_to_close_timeout=PREPARE,
            retry_policy=timeouts.FOR_EVER,
            summary=f"prepare the session on {launch.host}",
        )
        if prepared.start is None:
            workflow.set_current_details(f"{title} came to nothing: {prepared.refusal}")
            raise ApplicationError(prepared.refusal or "it was refused")
        workflow.set_current_details(f"{title} is the session `{session_id}`, which has not ended.")
        try:
            reason = str(
                await workflow.execute_child_workflow(
                    naming.WORKFLOW,
                    prepared.start,
                    id=naming.workflow_id(session_id),
                    task_queue=naming.TASK_QUEUE,
                    task_timeout=timeouts.WORKFLOW_TASK,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    search_attributes=of_start(prepared.start, launch.host),
                    static_summary=summary_of_start(prepared.start),
                )
            )
        except WorkflowAlreadyStartedError:  # by the run that this one was reset from
            reason = "it had been launched before"
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise
            reason = "its workflow was ended by hand"
        workflow.set_current_details(f"{title} was the session `{session_id}`, which has ended: {reason}")
        return reason
