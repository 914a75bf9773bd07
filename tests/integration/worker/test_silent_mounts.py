"""A mount that hangs costs what lies on it, and nothing else: not the host's lease, no others, no end of the daemon."""

import asyncio
import os
import signal
import uuid
from time import monotonic

import pytest

from stratavore.environment import write_environment
from stratavore.errors import EXIT_UNAVAILABLE, RemoteError
from stratavore.naming import schedule_id
from stratavore.runtime.rundir import RunDirectory
from tests.integration.worker.test_faults_elsewhere import start_failing
from tests.integration.worker.watching import ended, generation, running
from tests.support import failing_daemon
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

MANY = 40
"""More than the event loop has threads for everybody."""


async def test_projects_on_one_cost_nobody_else_anything(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    settings = await start_failing(daemon)
    mount, fault = failing_daemon.mount(daemon.home), daemon.home.root / failing_daemon.SILENT_MOUNT
    mount.mkdir()
    session, agent = await running(daemon, ["cat"])
    silent = await daemon.project(["cat"], mount)
    (there,) = await daemon.launch(silent)
    _, its_agent = await generation(daemon, there, 1)
    schedule, name = str(uuid.uuid4()), f"s{uuid.uuid4().hex[:8]}"
    write_environment(daemon.home.schedule_environment(schedule), {"PATH": daemon.environment["PATH"]})
    await daemon.call(
        "create_schedule",
        project=silent,
        schedule_id=schedule,
        cron="0 0 29 2 *",
        prompt="go",
        name=name,
        overlap="allow",
    )
    fault.touch()
    trigger = (await daemon.client()).get_schedule_handle(schedule_id(name))
    await trigger.trigger()
    os.kill(its_agent.pid, signal.SIGKILL)
    asked = await asyncio.gather(*(daemon.launch(silent) for _ in range(MANY)), return_exceptions=True)
    for one in asked:
        assert isinstance(one, RemoteError), one
        assert (one.code, one.exit_code) == ("silent_directory", EXIT_UNAVAILABLE)
        assert str(one).startswith(f"The directory {mount} does not answer")
    with pytest.raises(RemoteError, match="does not answer"):
        await daemon.call("create_project", name="other", path=str(mount), argv=["cat"])

    await renewed_twice(daemon)
    os.kill(agent.pid, signal.SIGKILL)
    await generation(daemon, session, 2)
    await running(daemon, ["cat"])

    async def explained() -> bool:
        rows = await daemon.fetch("SELECT reason FROM sessions WHERE id = $1", there)
        return "does not answer" in (rows[0]["reason"] or "")

    await answer(explained, what="why it does not run again")
    began = monotonic()
    assert daemon.end() == 0
    assert monotonic() - began < 20
    await daemon.start(settings=settings)
    fault.unlink()
    await generation(daemon, there, 2)

    async def launched() -> bool:
        return bool((await daemon.call("show_schedule", name=name))["last_session_id"])

    await answer(launched, what="the launch of the schedule")


async def test_a_transcript_on_one_holds_up_no_others_end(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await start_failing(daemon)
    mount, fault = failing_daemon.mount(daemon.home), daemon.home.root / failing_daemon.SILENT_MOUNT
    fault.touch()
    tools = daemon.home.root / "tools"
    tools.mkdir()
    (tools / "claude").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tools / "claude").chmod(0o755)
    sessions = []
    for home in (mount, daemon.home.root):
        name, session = f"p{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
        await daemon.call("create_project", name=name, path=str(daemon.home.root), agent="claude")
        environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(daemon.home.root)}
        write_environment(daemon.home.session_environment(session), environment)
        await daemon.call("launch", project=name, session_ids=[session])
        await generation(daemon, session, 1)
        with RunDirectory(daemon.home, f"{session}.1").hooks.open("a") as hooks:
            told = f'"hook_event_name": "SessionStart", "transcript_path": "{home}/{session}.jsonl"'
            hooks.write(f'1 {{"session_id": "{session}", {told}}}\n')
        sessions.append(session)
    await until(
        lambda: f"transcript of {sessions[0]}.1 does not answer" in daemon.log.read_text(), what="that it is told"
    )
    for session in reversed(sessions):
        _, agent = await generation(daemon, session, 1)
        os.kill(agent.pid, signal.SIGKILL)
        await ended(daemon, session, 1)
        await generation(daemon, session, 2)
    assert daemon.end() == 0


async def renewed_twice(daemon: DaemonProcess) -> None:
    """Wait until the host's lease has been renewed, and once more."""
    ask = "SELECT lease_expires_at FROM hosts WHERE name = $1"
    for _ in range(2):
        (before,) = await daemon.fetch(ask, daemon.host)

        async def later(before: object = before["lease_expires_at"]) -> bool:
            return bool((await daemon.fetch(ask, daemon.host))[0]["lease_expires_at"] != before)

        await answer(later, what="a renewal")
