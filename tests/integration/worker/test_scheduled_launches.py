"""Schedules that launch sessions: one a run, whatever dies, and as long as it lasts."""

from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus

from stratavore.environment import read_environment, write_environment
from stratavore.errors import RemoteError
from stratavore.naming import schedule_id
from stratavore.search_attributes import HOST, PROJECT
from tests.support.daemon import DaemonProcess
from tests.support.hosts import Hosts
from tests.support.waiting import answer, until

NEVER = "0 0 29 2 *"
"""So seldom that no test meets it."""


async def scheduled(daemon: DaemonProcess, argv: list[str], **params: Any) -> dict[str, Any]:
    """A schedule in a project of its own, made where somebody's shell has a variable."""
    project = await daemon.project(argv)
    id_ = str(uuid4())
    write_environment(daemon.home.schedule_environment(id_), {"PATH": daemon.environment["PATH"], "TOLD": "by a shell"})
    said = {"cron": NEVER, "prompt": "go", **params}
    return dict(await daemon.call("create_schedule", project=project, schedule_id=id_, **said))


async def run(daemon: DaemonProcess, schedule: dict[str, Any]) -> str:
    """Have it launch now. Returns the session, which the answer does not know yet if Temporal is slow."""
    before = (await shown(daemon, schedule))["last_session_id"]
    await daemon.call("run_schedule", name=schedule["name"], request_id=str(uuid4()))

    async def launched() -> str | None:
        last = (await shown(daemon, schedule))["last_session_id"]
        return str(last) if last not in (None, before) else None

    return str(await answer(launched, what="a launch"))


async def shown(daemon: DaemonProcess, schedule: dict[str, Any]) -> dict[str, Any]:
    return dict(await daemon.call("show_schedule", name=schedule["name"]))


async def trigger(daemon: DaemonProcess, schedule: dict[str, Any]) -> None:
    """Have it launch now, as a person does in the Web UI."""
    await (await daemon.client()).get_schedule_handle(schedule_id(schedule["name"])).trigger()


async def seen(daemon: DaemonProcess, schedule: dict[str, Any]) -> str:
    """What the Web UI says of it, beside what it is by its attributes and its spec."""
    client = await daemon.client()
    found = await client.get_schedule_handle(schedule_id(schedule["name"])).describe()
    assert found.typed_search_attributes.get(PROJECT) == schedule["project"]
    assert found.typed_search_attributes.get(HOST) == daemon.host
    (times,) = found.schedule.spec.calendars
    assert times.comment == "day 29 of the month at 00:00 in Feb"
    note = found.schedule.state.note or ""
    launch = f"Scheduled launch {schedule['name']} in {schedule['project']}, by the host {daemon.host}: {times.comment}"
    assert f"{launch}, UTC. " in note
    return note


async def sessions(daemon: DaemonProcess) -> list[str]:
    return [row["id"] for row in await daemon.fetch("SELECT id::text FROM sessions ORDER BY created_at")]


async def alerts(daemon: DaemonProcess) -> list[str]:
    rows = await daemon.fetch("SELECT data ->> 'message' AS told FROM events WHERE type = 'system.alert'")
    return [row["told"] for row in rows if row["told"].startswith("the schedule")]


async def test_a_run_launches_a_session_that_is_told_one_thing_and_ends(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["sh", "-c", "cat > told; echo $TOLD >> told"], timezone="Europe/Berlin")
    assert (schedule["name"], schedule["timezone"]) == (schedule["project"], "Europe/Berlin")
    assert (schedule["last_session_id"], schedule["paused"]) == (None, False)
    assert schedule["next_at"][:4] in ("2028", "2032", "2036", "2040")
    session = await run(daemon, schedule)
    await daemon.wait(session, "ended")
    assert (daemon.home.root / schedule["project"] / "told").read_text() == "goby a shell\n"
    (listed,) = await daemon.call("list_schedules")
    assert (listed["last_session_id"], listed["last_state"], listed["last_failure"]) == (session, "ended", None)
    again = await run(daemon, schedule)
    assert again != session
    await daemon.wait(again, "ended")
    assert await sessions(daemon) == [session, again]
    assert read_environment(daemon.home.session_environment(again))["TOLD"] == "by a shell"


async def test_a_request_that_is_repeated_launches_once(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"], overlap="allow")
    request = str(uuid4())
    first = await daemon.call("run_schedule", name=schedule["name"], request_id=request)
    second = await daemon.call("run_schedule", name=schedule["name"], request_id=request)
    assert first["last_session_id"] == second["last_session_id"] is not None
    same = await daemon.call(
        "create_schedule", project=schedule["project"], schedule_id=schedule["schedule_id"], cron=NEVER, prompt="go"
    )
    assert same["created_at"] == schedule["created_at"]
    other = await daemon.call(
        "create_schedule", project=schedule["project"], schedule_id=str(uuid4()), cron=NEVER, prompt="go"
    )
    assert other["name"] == f"{schedule['project']}-2"
    with pytest.raises(RemoteError, match=f"There is a schedule '{schedule['name']}' already"):
        await daemon.call(
            "create_schedule",
            project=schedule["project"],
            schedule_id=str(uuid4()),
            cron=NEVER,
            prompt="go",
            name=schedule["name"],
        )


@pytest.mark.parametrize("point", ["schedule.environment.before", "schedule.environment.after", "admit.after"])
async def test_a_daemon_that_dies_amid_a_launch_launches_one_session(daemon_process: DaemonProcess, point: str) -> None:
    daemon = daemon_process
    await daemon.start(kill_at=point)
    schedule = await scheduled(daemon, ["cat"], interactive=True)
    await trigger(daemon, schedule)
    await until(lambda: daemon.ended, what="the daemon's death")
    await daemon.start()

    async def launched() -> str | None:
        last = (await shown(daemon, schedule))["last_session_id"]
        return str(last) if last else None

    session = await answer(launched, what="the session")
    await daemon.wait(str(session), "running")
    assert await sessions(daemon) == [session]


async def test_a_schedule_that_is_paused_or_deleted_leaves_its_sessions_alone(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"], interactive=True, name="nightly")
    session = await run(daemon, schedule)
    await daemon.wait(session, "running")
    for paused in (True, True, False):
        found = await daemon.call("pause_schedule", name="nightly", paused=paused)
        assert (found["paused"], found["next_at"] is None) == (paused, paused)
        assert (await seen(daemon, schedule)).startswith("Paused with: " if paused else "Scheduled launch nightly in ")
    kept = daemon.home.schedule_environment(schedule["schedule_id"])
    assert kept.exists()
    of_another = await daemon.call("delete_schedule", name="nightly", schedule_id=str(uuid4()))
    assert of_another["deleted"] is False
    for there in (True, False):
        found = await daemon.call("delete_schedule", name="nightly", schedule_id=schedule["schedule_id"])
        assert found["deleted"] is there
    assert not kept.exists()
    with pytest.raises(RemoteError, match="There is no schedule 'nightly'"):
        await shown(daemon, schedule)
    assert (await daemon.wait(session, "running"))["state"] == "running"


async def test_a_launch_that_fails_says_why(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"])
    (daemon.home.root / schedule["project"]).rmdir()
    await trigger(daemon, schedule)

    async def failure() -> str | None:
        told: str | None = (await shown(daemon, schedule))["last_failure"]
        return told

    told = await answer(failure, what="why it failed")
    assert told is not None
    assert told.startswith("The directory ")
    assert await alerts(daemon) == [f"the schedule {schedule['name']} launched nothing: {told}"]
    assert await sessions(daemon) == []


async def test_the_schedules_of_a_project_go_with_it(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"])

    async def listed() -> Any:  # the list knows it a moment late
        return await daemon.call("list_schedules")

    await answer(listed, what="the schedule in the list")
    (project,) = await daemon.call("list_projects")
    await daemon.call("delete_project", project=project["name"], project_id=project["project_id"])
    with pytest.raises(RemoteError, match="There is no schedule"):
        await shown(daemon, schedule)


async def test_a_schedule_whose_project_is_no_more_deletes_itself(daemon: DaemonProcess) -> None:
    schedule = await scheduled(daemon, ["cat"])
    await daemon.fetch("DELETE FROM projects")
    await trigger(daemon, schedule)

    async def gone() -> bool:
        try:
            await shown(daemon, schedule)
        except RemoteError as error:
            assert error.code == "unknown_schedule"
            return True
        return False

    await answer(gone, what="the end of the schedule")
    (told,) = await alerts(daemon)
    assert told.endswith("its project is no more, and so its schedule was deleted")
    assert await sessions(daemon) == []


async def test_a_launch_waits_for_its_host_and_no_other(hosts: Hosts) -> None:
    here, there = await hosts.start("here"), await hosts.start("there")
    schedule = await scheduled(there, ["cat"], interactive=True)
    there.kill()
    await trigger(here, schedule)

    async def waits() -> str | None:
        found = await shown(here, schedule)
        return found["last_session_id"] if found["last_state"] is None else None

    session = await answer(waits, what="a run that waits")
    assert session is not None
    assert await sessions(here) == []
    with pytest.raises(RemoteError, match=f"while its launch before waits for the host {there.host}") as refused:
        await run(here, schedule)
    assert refused.value.code == "schedule_waits"
    await there.start()
    found = await there.wait(session, "running")
    assert found["host"] == there.host
    client = await here.client()
    (run_,) = (await client.get_schedule_handle(schedule_id(schedule["name"])).describe()).info.running_actions
    run_id = getattr(run_, "workflow_id", "")
    assert (await client.get_workflow_handle(run_id).describe()).status is WorkflowExecutionStatus.RUNNING
