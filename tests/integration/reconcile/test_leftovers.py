"""What nobody needs any more is removed with upkeep, and nothing else."""

import os
import shutil
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.service import RPCError

from stratavore.environment import write_environment
from stratavore.naming import UPKEEP_OF_SERVERS, upkeep_of_host
from stratavore.reconcile.leftovers import DELIVERED_KEPT, RUNS_KEPT, STRAYS_KEPT, UNSCHEDULED_KEPT
from stratavore.servers import schedules
from tests.integration.reconcile.test_schedules import run
from tests.integration.worker.watching import generation, running
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer

A_DAY = timedelta(days=1)


def age(path: Path, by: timedelta) -> None:
    then = path.stat().st_mtime - by.total_seconds()
    os.utime(path, (then, then))


async def test_run_directories_go_a_month_after_their_runners_but_for_the_newest(daemon: DaemonProcess) -> None:
    lives, _ = await running(daemon, ["cat"])
    ended, _ = await running(daemon, ["cat"])
    for session in (lives, ended):
        await daemon.command(session, "pause")
        await daemon.wait(session, "paused")
        await daemon.command(session, "resume")
        await generation(daemon, session, 2)
    await daemon.command(ended, "terminate")
    await daemon.wait(ended, "ended")
    directories = {name: daemon.home.run_directory(name) for s in (lives, ended) for name in (f"{s}.1", f"{s}.2")}
    own = upkeep_of_host(daemon.host)
    for days, left in ((-1, set(directories)), (1, {f"{lives}.2"})):
        by = RUNS_KEPT + days * A_DAY
        await daemon.fetch("UPDATE runners SET ended_at = now() - $1::interval WHERE ended_at IS NOT NULL", by)
        await daemon.fetch("UPDATE sessions SET ended_at = now() - $1::interval WHERE ended_at IS NOT NULL", by)
        found = await run(daemon, own)
        assert {name for name, path in directories.items() if path.exists()} == left
    assert found == "nothing differed; removed 3 run directories"
    await daemon.command(ended, "resume")  # it needs none of them
    await generation(daemon, ended, 3)


async def test_files_of_a_deleted_project_go_at_once_and_strays_when_they_are_old(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    environment = daemon.home.session_environment(session)
    write_environment(environment, {"KEY": "secret"})
    kept, _ = await running(daemon, ["cat"])
    write_environment(daemon.home.session_environment(kept), {"KEY": "secret"})
    age(daemon.home.session_environment(kept), STRAYS_KEPT + A_DAY)
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    # As on another host, or where the daemon died before it had removed them.
    directory, aside = daemon.home.run_directory(f"{session}.1"), daemon.home.root / "aside"
    shutil.copytree(directory, aside)
    (row,) = await daemon.fetch(
        "SELECT projects.id::text, name FROM projects JOIN sessions ON project_id = projects.id WHERE sessions.id = $1",
        session,
    )
    await daemon.call("delete_project", project=row["name"], project_id=row["id"], with_history=True)
    assert not directory.exists()
    aside.rename(directory)
    write_environment(environment, {"KEY": "secret"})
    young, old = (daemon.home.session_environment(str(uuid.uuid4())) for _ in range(2))
    for one in (young, old):
        write_environment(one, {"KEY": "secret"})
    age(old, STRAYS_KEPT + A_DAY)
    found = await run(daemon, upkeep_of_host(daemon.host))
    assert found.endswith("removed 1 run directory, 2 environments")
    assert [one.exists() for one in (directory, environment, old, young)] == [False, False, False, True]
    assert daemon.home.session_environment(kept).exists()


async def test_environments_of_schedules_go_a_day_after_those_that_are_no_more(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    there, gone, young = (str(uuid.uuid4()) for _ in range(3))
    files = [daemon.home.schedule_environment(one) for one in (there, gone, young)]
    for file in files:
        write_environment(file, {"KEY": "secret"})
    for file in files[:2]:
        age(file, UNSCHEDULED_KEPT + A_DAY)
    await daemon.call("create_schedule", project=project, schedule_id=there, cron="0 0 29 2 *", prompt="go")

    async def listed() -> Any:  # the list knows it a moment late
        return await daemon.call("list_schedules")

    await answer(listed, what="the schedule in the list")
    assert (await run(daemon, upkeep_of_host(daemon.host))).endswith("removed 1 environment")
    assert [file.exists() for file in files] == [True, False, True]


async def test_marks_of_deliveries_and_schedules_of_hosts_that_are_gone_go(daemon: DaemonProcess) -> None:
    client = await daemon.client()
    await schedules.keep(client, "gone", A_DAY)
    await daemon.fetch(
        "INSERT INTO hosts (name, daemon_id, state_directory, version, boot_id, renewed_at, lease_expires_at)"
        " SELECT 'gone', daemon_id, gen_random_uuid(), version, boot_id, now() - interval '8 days',"
        " now() - interval '8 days' FROM hosts"
    )
    session, _ = await running(daemon, ["cat"])
    marks = "SELECT id, delivered FROM outbox ORDER BY id"
    old, young, *_ = [row["id"] for row in await daemon.fetch(marks)]
    for id_, by in ((old, DELIVERED_KEPT + A_DAY), (young, DELIVERED_KEPT - A_DAY)):
        await daemon.fetch(
            "UPDATE outbox SET delivered = true, delivered_at = now() - $2::interval WHERE id = $1", id_, by
        )
    events = await daemon.fetch("SELECT id FROM events")
    assert await run(daemon, UPKEEP_OF_SERVERS) == "nothing differed; removed 1 mark of a delivery"
    assert old not in [row["id"] for row in await daemon.fetch(marks)]
    assert young in [row["id"] for row in await daemon.fetch(marks)]
    assert len(await daemon.fetch("SELECT id FROM events")) >= len(events)
    with pytest.raises(RPCError, match="not found"):
        await client.get_schedule_handle(upkeep_of_host("gone")).describe()
    await daemon.wait(session, "running")
