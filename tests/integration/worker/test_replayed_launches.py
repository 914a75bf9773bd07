"""A launch that Temporal delivers again, late or twice: the agent of now is found, and none of the past is started."""

import asyncio
import json
import os
import signal
import uuid
from datetime import timedelta
from shutil import rmtree
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from stratavore.models.session import LaunchSpec
from stratavore.models.steps import Launched, LaunchRequest
from stratavore.naming import launch_queue
from tests.integration.worker.watching import generation, running
from tests.support.daemon import DaemonProcess
from tests.support.processes import marked


@workflow.defn
class Again:
    """Has a host do a launch."""

    @workflow.run
    async def run(self, queue: str, request: LaunchRequest) -> Launched:
        """What it answers."""
        launched: Launched = await workflow.execute_activity(
            "launch",
            request,
            task_queue=queue,
            result_type=Launched,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
        return launched


async def launch(daemon: DaemonProcess, client: Client, session: str, number: int) -> Launched:
    """Have the launch of a generation delivered to the daemon, as its workflow asked for it."""
    (row,) = await daemon.fetch(
        "SELECT project_id::text, name, sessions.agent, sessions.argv, cwd"
        " FROM sessions JOIN projects ON projects.id = project_id WHERE sessions.id = $1",
        session,
    )
    spec: dict[str, Any] = {"agent": row["agent"], "argv": tuple(row["argv"]), "cwd": row["cwd"]}
    request = LaunchRequest(
        runner_id=f"{session}.{number}",
        session_id=session,
        generation=number,
        project_id=row["project_id"],
        project=row["name"],
        spec=LaunchSpec(**spec),
        resume=number > 1,
    )
    queue = f"again-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Again], workflow_runner=UnsandboxedWorkflowRunner()):
        return await client.execute_workflow(
            Again.run, args=[launch_queue(daemon.host), request], id=queue, task_queue=queue
        )


async def refused(daemon: DaemonProcess, client: Client, session: str, number: int) -> None:
    """Have it delivered; it is refused for good."""
    with pytest.raises(WorkflowFailureError) as failure:
        await launch(daemon, client, session, number)
    assert isinstance(failure.value.cause, ActivityError)
    assert isinstance(failure.value.cause.cause, ApplicationError)
    assert failure.value.cause.cause.non_retryable
    assert "is not the current one of its session any more" in str(failure.value.cause.cause)


async def test_the_agent_of_now_is_found_however_often_it_is_launched(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    client = await daemon.client()
    answers = await asyncio.gather(*(launch(daemon, client, session, 1) for _ in range(3)))
    assert [one.end for one in answers] == [None, None, None]
    assert (await generation(daemon, session, 1))[1] == agent
    assert agent in marked(session_id=session)
    rows = await daemon.fetch("SELECT type FROM events WHERE session_id = $1 AND type = 'runner.started'", session)
    assert len(rows) == 1


@pytest.mark.parametrize("traces", ["left", "gone"])
async def test_one_of_the_past_is_refused_and_nothing_is_started(daemon: DaemonProcess, traces: str) -> None:
    session, agent = await running(daemon, ["cat"])
    os.kill(agent.pid, signal.SIGKILL)
    _, current = await generation(daemon, session, 2)
    if traces == "gone":  # as on another host
        for number in (1, 2):
            rmtree(daemon.home.run_directory(f"{session}.{number}"))
    events = await told(daemon, session)
    await refused(daemon, await daemon.client(), session, 1)
    assert marked(runner_id=f"{session}.1") == []
    if traces == "gone":
        assert not daemon.home.run_directory(f"{session}.1").exists()
    assert (await generation(daemon, session, 2))[1] == current
    assert await told(daemon, session) == events


async def test_one_of_a_session_that_has_ended_is_refused(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    rmtree(daemon.home.run_directory(f"{session}.1"))
    await refused(daemon, await daemon.client(), session, 1)
    assert marked(session_id=session) == []
    assert not daemon.home.run_directory(f"{session}.1").exists()


async def told(daemon: DaemonProcess, session: str) -> list[str]:
    """Every event of the session, but what its agents do."""
    rows = await daemon.fetch("SELECT type, data::text FROM events WHERE session_id = $1 ORDER BY sequence", session)
    return [f"{row['type']} {json.loads(row['data'])}" for row in rows if row["type"] != "runner.activity"]
