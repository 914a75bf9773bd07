"""Which queue runs which workflows and activities, and how Temporal's workers are set up."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.admission import AdmissionActivities
from activities.exports import ExportActivities
from activities.records import RecordActivities
from activities.resets import ResetActivities
from activities.runners import RunnerActivities
from activities.schedules import ScheduleActivities
from activities.upkeep import UpkeepActivities
from stratavore.naming import TASK_QUEUE, UPKEEP_QUEUE, host_queue, launch_queue
from workflows.exports import ExportWorkflow
from workflows.resets import ResetWorkflow
from workflows.scheduled import ScheduledLaunchWorkflow
from workflows.session import SessionWorkflow
from workflows.upkeep import UpkeepWorkflow

STICKY_TIMEOUT = timedelta(seconds=1)
"""A workflow task that a dead worker held in its cache goes to another one after this; the default is 10 s."""

MOST_TASKS = 20
"""Of sessions, under way at once. Each has 5 s: of more, which all replay histories after a reboot, none would be done
in that time, and all would begin again."""
_FEW_POLLS = 2
"""The fewest that ask for workflow tasks; upkeep comes every few minutes."""

LAUNCHES_A_START = 8
"""Launches under way for each agent that may start: one mostly waits, for its terminal, Postgres or its turn."""

GRACE = timedelta(seconds=5)
"""What running activities get when the daemon is asked to stop; the SDK's default is none."""


def session_worker(client: Client, admission: AdmissionActivities, records: RecordActivities) -> Worker:
    """Takes session workflows of any host, with the local activities they run."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[SessionWorkflow],
        activities=[admission.admit, admission.place, admission.find, records.record, records.refuse],
        workflow_runner=SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default),
        no_remote_activities=True,
        max_cached_workflows=2000,
        max_concurrent_workflow_tasks=MOST_TASKS,
        max_concurrent_local_activities=50,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
    )


def host_worker(
    client: Client,
    host: str,
    runners: RunnerActivities,
    upkeep: UpkeepActivities,
    schedules: ScheduleActivities,
    exports: ExportActivities,
) -> Worker:
    """Takes what has to happen on this host."""
    return Worker(
        client,
        task_queue=host_queue(host),
        workflows=[UpkeepWorkflow, ExportWorkflow],
        activities=[
            *(runners.supervise, runners.stop, runners.send, runners.receive),
            *(upkeep.keep_up, schedules.prepare, exports.export),
        ],
        max_concurrent_activities=200,
        max_concurrent_workflow_task_polls=_FEW_POLLS,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
    )


def launch_worker(client: Client, host: str, runners: RunnerActivities, starts_at_once: int) -> Worker:
    """Takes the launches of this host, a few at once; the others wait at the server, in their order."""
    return Worker(
        client,
        task_queue=launch_queue(host),
        activities=[runners.launch],
        max_concurrent_activities=starts_at_once * LAUNCHES_A_START,
        graceful_shutdown_timeout=GRACE,
    )


def upkeep_worker(client: Client, upkeep: UpkeepActivities, resets: ResetActivities) -> Worker:
    """Takes upkeep of the servers, resets and the launches of schedules, as every daemon does."""
    return Worker(
        client,
        task_queue=UPKEEP_QUEUE,
        workflows=[UpkeepWorkflow, ResetWorkflow, ScheduledLaunchWorkflow],
        activities=[upkeep.keep_up, resets.reset],
        max_concurrent_activities=2,
        max_concurrent_activity_task_polls=1,
        max_concurrent_workflow_task_polls=_FEW_POLLS,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
    )
