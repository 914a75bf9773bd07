"""Runners as the daemon's tests see them."""

import json
from typing import Any

from stratavore.naming import workflow_id
from stratavore.runtime.processes import ProcessIdentity, identify
from stratavore.runtime.rundir import RunDirectory
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer


async def running(daemon: DaemonProcess, argv: list[str], **params: Any) -> tuple[str, ProcessIdentity]:
    """A new session that runs these words, in a project of its own, and its agent."""
    (session,) = await daemon.launch(await daemon.project(argv), **params)
    await daemon.wait(session, "running")
    return session, (await generation(daemon, session, 1))[1]


async def generation(daemon: DaemonProcess, session: str, number: int) -> tuple[dict[str, Any], ProcessIdentity]:
    """The session's runner of this generation, once it runs, and its agent."""

    async def look() -> dict[str, Any] | None:
        for one in await daemon.call("list_runners"):
            if one["session_id"] == session and one["generation"] == number and one["status"] == "running":
                return dict(one)
        return None

    runner = await answer(look, what=f"runner {number} of {session}")
    assert runner is not None
    process = identify(runner["pid"])
    assert process is not None
    return runner, process


async def ended(daemon: DaemonProcess, session: str, number: int) -> dict[str, Any]:
    """How the session's runner of this generation ended, once that is recorded."""

    async def look() -> dict[str, Any] | None:
        rows = await daemon.fetch(
            "SELECT exit_kind, exit_code, exit_reason, status, last_lines FROM runners"
            " WHERE session_id = $1 AND generation = $2 AND ended_at IS NOT NULL",
            session,
            number,
        )
        return dict(rows[0]) if rows else None

    found = await answer(look, what=f"the end of runner {number} of {session}")
    assert found is not None
    return found


async def events(daemon: DaemonProcess, session: str, type_: str) -> list[dict[str, Any]]:
    """The data of a session's events of one type, in order."""
    rows = await daemon.fetch(
        "SELECT data::text FROM events WHERE session_id = $1 AND type = $2 ORDER BY sequence", session, type_
    )
    return [json.loads(row["data"]) for row in rows]


def shows(daemon: DaemonProcess, runner_id: str, text: str) -> bool:
    """Whether its terminal has shown this. The log is begun by a process beside the agent, maybe a moment later."""
    log = RunDirectory(daemon.home, runner_id).log
    return log.exists() and text in log.read_text(errors="replace")


async def terminate_workflow(daemon: DaemonProcess, session: str) -> None:
    """As a person does it in the Web UI; until searches know of it too, which they do a moment late."""
    client = await daemon.client()
    await client.get_workflow_handle(workflow_id(session)).terminate("by hand")
    running = f"WorkflowId = '{workflow_id(session)}' AND ExecutionStatus = 'Running'"

    async def is_known() -> bool:
        return (await client.count_workflows(running)).count == 0

    await answer(is_known, what="that searches know it")
