"""One session through every part: launched, seen, paused, resumed, crashed, ended; and a daemon that dies beside it."""

import os
import signal

from stratavore.runtime.processes import Liveness, identify, liveness
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until


async def the_runner(daemon: DaemonProcess) -> dict[str, object]:
    (runner,) = await daemon.call("list_runners")
    assert isinstance(runner, dict)
    return runner


async def test_launch_pause_resume_and_end(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    (session,) = await daemon.launch(project)
    await daemon.wait(session, "running")
    first = await the_runner(daemon)
    assert first["runner_id"] == f"{session}.1"
    assert first["status"] == "running"
    process = identify(int(str(first["pid"])))
    assert process is not None

    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")
    assert liveness(process) is Liveness.DEAD
    assert await daemon.call("list_runners") == []
    (row,) = await daemon.fetch("SELECT status FROM runners")
    assert row["status"] == "paused"
    assert await daemon.fetch("SELECT 1 FROM admissions") == []

    await daemon.command(session, "resume")
    await daemon.wait(session, "running")
    assert (await the_runner(daemon))["runner_id"] == f"{session}.2"

    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    assert await daemon.fetch("SELECT 1 FROM admissions") == []
    types = [
        row["type"] for row in await daemon.fetch("SELECT type FROM events WHERE type !~ 'activity' ORDER BY sequence")
    ]
    assert types == [
        "session.created",
        "runner.started",
        "runner.stopped",
        "session.paused",
        "runner.started",
        "session.resumed",
        "runner.stopped",
        "session.ended",
    ]


async def test_an_agent_that_ends_by_itself_ends_its_session(daemon: DaemonProcess) -> None:
    project = await daemon.project(["true"])
    (session,) = await daemon.launch(project)
    ended = await daemon.wait(session, "ended")
    assert ended["generation"] == 1


async def test_a_killed_agent_runs_again_with_the_next_generation(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    (session,) = await daemon.launch(project)
    await daemon.wait(session, "running")
    before = await the_runner(daemon)
    os.kill(int(str(before["pid"])), signal.SIGKILL)
    await daemon.wait_for_generation(session, 2)
    after = await the_runner(daemon)
    assert (after["generation"], after["status"]) == (2, "running")


async def test_a_program_that_crashes_at_once_is_parked_with_its_last_lines(daemon: DaemonProcess) -> None:
    project = await daemon.project(["sh", "-c", "echo oh no; exit 3"])
    (session,) = await daemon.launch(project)
    parked = await daemon.wait(session, "parked", timeout=60)
    assert parked["reason"] == (
        "it ended with exit code 3, the last of 5 deaths in a row; "
        f"try again with: stratavore resume {session[:8]}; its last words: oh no"
    )
    runners = await daemon.call("list_runners", all=True)
    assert [one["status"] for one in runners] == ["failed"] * 5
    assert all("oh no" in one["last_lines"] and one["exit_code"] == 3 for one in runners)
    assert await daemon.fetch("SELECT 1 FROM admissions") == []
    failed = await daemon.call("list_events", pattern="runner.failed.#")
    assert [one["data"]["last_lines"] for one in failed] == ["oh no"] * 5
    (told,) = await daemon.call("list_events", pattern="session.parked.#")
    (alert,) = await daemon.call("list_events", pattern="system.alert.warning")
    assert told["session_id"] == alert["data"]["session_id"] == session
    assert alert["data"]["message"].endswith(parked["reason"])
    assert {(one["data"]["exit_code"], one["data"]["last_lines"]) for one in (told, alert)} == {(3, "oh no")}
    waits = await daemon.fetch(
        "SELECT created_at - lag(ended_at) OVER (ORDER BY generation) AS wait FROM runners ORDER BY generation"
    )
    later = [row["wait"].total_seconds() for row in waits[2:]]
    assert all(wait > least for wait, least in zip(later, (0.66, 1.33, 2.66), strict=True)), later


async def test_the_daemon_dies_and_nothing_happens_to_its_sessions(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    sessions = await daemon.launch(project, 5)
    for session in sessions:
        await daemon.wait(session, "running")
    before = {one["runner_id"]: one["pid"] for one in await daemon.call("list_runners")}
    lengths = {session: await daemon.settled_history(session) for session in sessions}

    await daemon.restart()

    after = {one["runner_id"]: one["pid"] for one in await daemon.call("list_runners")}
    assert after == before
    watchers = await daemon.fetch("SELECT DISTINCT watched_by, daemon_id FROM runners, hosts")
    assert [row["watched_by"] == row["daemon_id"] for row in watchers] == [True]
    assert {session: await daemon.history_length(session) for session in sessions} == lengths
    # It is supervised for real: what happens now is noticed.
    os.kill(before[f"{sessions[0]}.1"], signal.SIGKILL)
    os.kill(before[f"{sessions[1]}.1"], signal.SIGTERM)
    await daemon.command(sessions[2], "terminate")
    await daemon.wait(sessions[2], "ended")
    await daemon.wait_for_generation(sessions[0], 2)


async def test_what_happens_while_the_daemon_is_away_is_caught_up(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    sessions = await daemon.launch(project, 2)
    for session in sessions:
        await daemon.wait(session, "running")
    pids = {one["session_id"]: one["pid"] for one in await daemon.call("list_runners")}
    daemon.kill()
    os.kill(pids[sessions[0]], signal.SIGKILL)
    await daemon.start()

    await daemon.wait_for_generation(sessions[0], 2)
    runners = {one["session_id"]: one for one in await daemon.call("list_runners")}
    assert runners[sessions[0]]["generation"] == 2
    assert runners[sessions[1]]["pid"] == pids[sessions[1]]


async def test_sessions_over_the_limit_wait_in_order(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=1)
    sessions = await daemon.launch(project)
    await daemon.wait(sessions[0], "running")
    for place in (1, 2):
        sessions += await daemon.launch(project)
        assert await daemon.wait_in_line(sessions[-1]) == place
    await daemon.command(sessions[0], "terminate")
    await daemon.wait(sessions[1], "running")
    assert await daemon.wait_in_line(sessions[2]) == 1
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=None)
    await daemon.wait(sessions[2], "running")


async def test_text_is_typed_into_the_terminal(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    (session,) = await daemon.launch(project, prompt="the first words")
    await daemon.wait(session, "running")
    await daemon.call(
        "send", target=session, text="grüße, 'quoted' $HOME", request_id="00000000-0000-4000-8000-000000000001"
    )
    await daemon.call("send", target=session, text="again", request_id="00000000-0000-4000-8000-000000000001")
    log = daemon.home.run_directory(f"{session}.1") / "log"
    await until(lambda: log.read_text().count("grüße, 'quoted' $HOME") == 2, what="echo and output of cat")
    assert "the first words" in log.read_text()
    assert "again" not in log.read_text()
