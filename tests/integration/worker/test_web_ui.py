"""What people do to a session's workflow in Temporal's Web UI: cancel, terminate, reset."""

import os
import signal
import uuid

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus

from stratavore.environment import write_environment
from stratavore.naming import workflow_id
from stratavore.runtime.processes import Liveness, liveness, wait_dead
from tests.integration.worker.watching import generation, running, terminate_workflow
from tests.support.daemon import DaemonProcess


async def status(daemon: DaemonProcess, session: str) -> WorkflowExecutionStatus | None:
    return (await (await daemon.client()).get_workflow_handle(workflow_id(session)).describe()).status


async def cancel(daemon: DaemonProcess, session: str) -> None:
    await (await daemon.client()).get_workflow_handle(workflow_id(session)).cancel()


async def ends_in_order(daemon: DaemonProcess, session: str) -> None:
    """As ``stratavore kill`` ends it: the row, the workflow, the slot."""
    assert (await daemon.wait(session, "ended"))["reason"] == "ended on request"
    handle = (await daemon.client()).get_workflow_handle(workflow_id(session))
    assert await handle.result() == "ended on request"
    assert await status(daemon, session) is WorkflowExecutionStatus.COMPLETED
    assert await daemon.fetch("SELECT FROM admissions WHERE session_id = $1", session) == []


async def test_a_cancelled_session_ends_in_order(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=1)
    (runs,) = await daemon.launch(project)
    await daemon.wait(runs, "running")
    (queued,) = await daemon.launch(project)
    await daemon.wait(queued, "queued")
    paused, _ = await running(daemon, ["cat"])
    await daemon.command(paused, "pause")
    await daemon.wait(paused, "paused")
    for session in (queued, paused):
        await cancel(daemon, session)
        await ends_in_order(daemon, session)
    _, agent = await generation(daemon, runs, 1)
    await cancel(daemon, runs)
    await ends_in_order(daemon, runs)
    assert await wait_dead(agent, 5)
    # It was only ended: it can be resumed like any other, and cancelled again.
    await daemon.command(runs, "resume")
    await generation(daemon, runs, 2)
    await cancel(daemon, runs)
    await ends_in_order(daemon, runs)
    assert (await daemon.call("reconcile"))["differences"] == []


async def test_one_whose_prompt_waits_to_be_typed_ends_when_it_is_cancelled(daemon: DaemonProcess) -> None:
    tools, site = daemon.home.root / "tools", daemon.home.root / "site"
    tools.mkdir()
    site.mkdir()
    (tools / "claude").write_text("#!/bin/sh\nexec sleep 1000\n")  # never shows a box to type into
    (tools / "claude").chmod(0o755)
    await daemon.call("create_project", name="site", path=str(site), agent="claude")
    session = str(uuid.uuid4())
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(daemon.home.root)}
    write_environment(daemon.home.session_environment(session), environment)
    await daemon.call("launch", project="site", session_ids=[session], prompt="Build it")
    _, agent = await generation(daemon, session, 1)
    await cancel(daemon, session)
    await ends_in_order(daemon, session)
    assert await wait_dead(agent, 5)


async def test_one_that_cannot_start_ends_when_it_is_cancelled(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    nowhere = daemon.home.root / "nowhere"
    nowhere.mkdir()
    await daemon.start(settings={"PATH": str(nowhere)})  # no tmux there
    (session,) = await daemon.launch(await daemon.project(["/bin/cat"]))
    await daemon.wait(session, "starting")
    await cancel(daemon, session)
    await ends_in_order(daemon, session)


async def test_one_that_was_terminated_is_started_again_with_its_live_agent(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    await terminate_workflow(daemon, session)
    (found,) = (await daemon.call("reconcile"))["differences"]
    assert (found["kind"], found["outcome"]) == ("session_without_workflow", "repaired")
    assert await status(daemon, session) is WorkflowExecutionStatus.RUNNING
    assert liveness(agent) is Liveness.ALIVE
    os.kill(agent.pid, signal.SIGKILL)
    _, agent = await generation(daemon, session, 2)
    # Nobody has to know of reconcile: a command starts the workflow again too.
    await (await daemon.client()).get_workflow_handle(workflow_id(session)).terminate("by hand")
    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")
    assert await wait_dead(agent, 5)
    assert await status(daemon, session) is WorkflowExecutionStatus.RUNNING
    assert (await daemon.call("reconcile"))["differences"] == []


async def test_one_that_was_reset_goes_on_with_its_live_agent(daemon: DaemonProcess) -> None:
    """From its first step on it finds that all was done, and takes the agent as it is."""
    session, agent = await running(daemon, ["cat"])
    os.kill(agent.pid, signal.SIGKILL)
    _, agent = await generation(daemon, session, 2)
    client = await daemon.client()
    before = await client.get_workflow_handle(workflow_id(session)).describe()
    events = [one async for one in client.get_workflow_handle(workflow_id(session)).fetch_history_events()]
    first = next(one.event_id for one in events if one.HasField("workflow_task_completed_event_attributes"))
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id(session), run_id=before.run_id),
            reason="to see what happens",
            workflow_task_finish_event_id=first,
            request_id=str(uuid.uuid4()),
        )
    )
    assert (await client.get_workflow_handle(workflow_id(session)).describe()).run_id != before.run_id
    await daemon.wait(session, "running")
    assert (await daemon.call("reconcile"))["differences"] == []
    assert (await generation(daemon, session, 2))[1] == agent
    os.kill(agent.pid, signal.SIGKILL)
    _, agent = await generation(daemon, session, 3)
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    assert await wait_dead(agent, 5)
