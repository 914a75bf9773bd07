"""Which queue runs which workflows and activities, and how Temporal's workers are set up."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.admission import AdmissionActivities
from activities.records import RecordActivities
from activities.runners import RunnerActivities
from stratavore.naming import TASK_QUEUE, host_queue
from workflows.session import SessionWorkflow

STICKY_TIMEOUT = timedelta(seconds=1)
"""A workflow task that a dead worker held in its cache goes to another one after this; the default is 10 s."""

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
        max_concurrent_workflow_tasks=50,
        max_concurrent_local_activities=50,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
    )


def host_worker(client: Client, host: str, runners: RunnerActivities) -> Worker:
    """Takes what has to happen on this host."""
    return Worker(
        client,
        task_queue=host_queue(host),
        activities=[runners.launch, runners.supervise, runners.stop, runners.send],
        max_concurrent_activities=200,
        graceful_shutdown_timeout=GRACE,
    )
