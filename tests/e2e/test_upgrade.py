"""An upgrade with sessions open: the next version takes over the processes and the workflows of this one."""

import asyncio
import json
import os
import signal
from typing import Any

from stratavore.errors import EXIT_REFUSED
from stratavore.naming import workflow_id
from stratavore.runtime.processes import Liveness, identify, liveness
from stratavore.store.migrate import HEAD
from tests.integration.worker.watching import generation
from tests.support.daemon import DaemonProcess
from tests.support.histories import patches_in
from tests.support.next_version import SCHEMA
from tests.support.next_version.workflow import PATCH
from tests.support.servers import REPOSITORY
from tests.support.waiting import answer, until


def become_next(daemon: DaemonProcess) -> dict[str, str]:
    """Be the next version from now on. Returns what it has to be started with: nobody installs it."""
    daemon.program = "tests.support.next_version"
    return {"PYTHONPATH": str(REPOSITORY)}


async def schema(daemon: DaemonProcess) -> str:
    (row,) = await daemon.fetch("SELECT version_num FROM alembic_version")
    return str(row["version_num"])


async def processes(daemon: DaemonProcess) -> dict[str, int]:
    """The runners that live, with their agents' processes."""
    return {one["runner_id"]: one["pid"] for one in await daemon.call("list_runners") if one["status"] == "running"}


async def patches(daemon: DaemonProcess, session: str) -> set[str]:
    history = await (await daemon.client()).get_workflow_handle(workflow_id(session)).fetch_history()
    document: dict[str, Any] = json.loads(history.to_json())
    return set(patches_in(document))


async def pause_and_resume(daemon: DaemonProcess, session: str) -> None:
    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")
    await daemon.command(session, "resume")
    await daemon.wait(session, "running")


async def test_open_sessions_go_on_with_the_next_version(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    sessions = await daemon.launch(project, 5)
    await asyncio.gather(*(daemon.wait(session, "running") for session in sessions))
    rested, put_away, killed, ended, left_alone = sessions
    await pause_and_resume(daemon, rested)
    await daemon.command(put_away, "pause")
    await daemon.wait(put_away, "paused")
    before = await processes(daemon)
    assert len(before) == 4
    assert await schema(daemon) == HEAD
    assert daemon.end() == 0

    settings = become_next(daemon)
    await daemon.start(settings=settings)
    log = daemon.log.read_text()
    assert await schema(daemon) == SCHEMA
    assert log.index("the database was migrated") < log.rindex("runners taken over: 4")
    assert await processes(daemon) == before

    # What was open goes on, whatever it had done until then.
    await daemon.command(put_away, "resume")
    await daemon.command(ended, "terminate")
    os.kill(before[f"{killed}.1"], signal.SIGKILL)
    await asyncio.gather(*(pause_and_resume(daemon, session) for session in (rested, left_alone)))
    await daemon.wait(put_away, "running")
    await daemon.wait(ended, "ended")
    await generation(daemon, killed, 2)
    (new,) = await daemon.launch(project)
    await daemon.wait(new, "running")
    # A session that has gone past the step before the patch was there goes on without it; others take it.
    assert await patches(daemon, left_alone) == {PATCH}
    assert await patches(daemon, rested) == set()
    await daemon.command(new, "pause")
    await daemon.wait(new, "paused")  # by the record of its runner's end; the step comes after
    assert await answer(lambda: patches(daemon, new), what="the patch") == {PATCH}

    # Histories of both kinds are understood when nothing of them is remembered.
    daemon.kill()
    await daemon.start(settings=settings)
    await asyncio.gather(*(pause_and_resume(daemon, session) for session in (rested, left_alone, put_away)))
    assert "NondeterminismError" not in daemon.log.read_text()

    # There is no way back: the database is the next version's.
    alive = {runner: identify(pid) for runner, pid in (await processes(daemon)).items()}
    assert daemon.end() == 0
    daemon.program = "worker.daemon"
    daemon.spawn()
    await until(lambda: daemon.ended, what="the refusal")
    assert daemon.end() == EXIT_REFUSED
    assert f"its schema is {SCHEMA}, and this version knows {HEAD} at most" in daemon.tail(1)
    assert "Traceback" not in daemon.tail(3)
    assert len(alive) == 4
    assert all(process and liveness(process) is Liveness.ALIVE for process in alive.values())
