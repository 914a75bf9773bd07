"""Who takes the tasks of a queue, as Temporal lists them; one that died stays listed for minutes."""

from collections.abc import Sequence

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from stratavore import naming


async def of_sessions(client: Client) -> Sequence[PollerInfo]:
    """Workers that take the workflows of sessions."""
    return await _pollers(client, naming.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)


async def of_host(client: Client, host: str) -> Sequence[PollerInfo]:
    """Workers that take the activities of a host."""
    return await _pollers(client, naming.host_queue(host), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


async def of_launches(client: Client, host: str) -> Sequence[PollerInfo]:
    """Workers that take the launches of a host."""
    return await _pollers(client, naming.launch_queue(host), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


async def _pollers(client: Client, queue: str, kind: "TaskQueueType.ValueType") -> Sequence[PollerInfo]:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
    )
    return answer.pollers
