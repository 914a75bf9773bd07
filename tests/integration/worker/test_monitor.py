"""The host monitor in a real daemon: what it sees is shown, and whatever dies, sessions run again."""

import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, PauseActivityRequest
from temporalio.service import RPCError, RPCStatusCode

from stratavore.environment import write_environment
from stratavore.naming import workflow_id
from stratavore.runtime.processes import Liveness, ProcessIdentity, identify, liveness, send, wait_dead
from stratavore.runtime.rundir import RunDirectory
from tests.integration.worker.watching import ended, events, generation, running, shows
from tests.support.daemon import DaemonProcess
from tests.support.processes import marked
from tests.support.terminal import person_terminal
from tests.support.waiting import answer, until


async def tmux_server(daemon: DaemonProcess, session: str) -> int:
    """The terminal server that holds the session."""
    (runner,) = [one for one in await daemon.call("list_runners") if one["session_id"] == session]
    wrapper = RunDirectory(daemon.home, runner["runner_id"]).wrapper()
    assert wrapper is not None
    return int(Path(f"/proc/{wrapper.pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_busy_and_idle_are_shown_everywhere(daemon: DaemonProcess) -> None:
    rest = daemon.home.root / "rest"
    works = f"while read line; do until [ -e {rest} ]; do echo got $line; sleep 0.2; done; done"
    session, _ = await running(daemon, ["sh", "-c", works])

    async def shown(activity: str) -> bool:
        (found,) = await daemon.call("list_sessions")
        return bool(found["activity"] == activity)

    await answer(lambda: shown("idle"), what="idle")
    length = await daemon.settled_history(session)
    terminal = await daemon.call("terminal", target=session)
    with person_terminal(terminal["attach_read_only"]) as watcher:
        watcher.until("idle")
        # Typed past the daemon, as a person does it.
        with person_terminal(terminal["attach"]) as person:
            person.until("detach")
            person.type("work\r")
            await answer(lambda: shown("busy"), what="busy")
        watcher.until("busy")
        rest.touch()
        await answer(lambda: shown("idle"), what="idle again")
        watcher.until("idle")
    told = await events(daemon, session, "runner.activity")
    assert [one["activity"] for one in told][-2:] == ["busy", "idle"]
    assert all(one["was"] != one["activity"] and one["runner_id"] == f"{session}.1" for one in told)
    assert await daemon.history_length(session) == length  # the workflow hears nothing of it


async def test_memory_and_time_are_measured(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["sh", "-c", "while :; do :; done"])

    async def measured() -> Any:
        rows = await daemon.fetch(
            "SELECT memory_mb, cpu_percent FROM runners WHERE session_id = $1 AND cpu_percent > 0", session
        )
        return rows[0] if rows else None

    row = await answer(measured, what="a measurement")
    assert 0.1 < row["memory_mb"] < 200
    assert 1 < row["cpu_percent"] < 250


async def test_a_log_whose_writer_was_killed_goes_on(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    server = await tmux_server(daemon, session)

    def writers() -> list[int]:
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "cat\n"]

    await until(lambda: len(writers()) == 1, what="the log's writer")  # a shell becomes it
    os.kill(writers()[0], signal.SIGKILL)

    async def written() -> bool:
        await daemon.call("send", target=session, text="anybody there", request_id=os.urandom(16).hex())
        return shows(daemon, f"{session}.1", "anybody there")

    await answer(written, what="a log that goes on")


async def test_the_death_of_a_terminal_server_takes_only_its_project_along(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    sessions = await daemon.launch(project, 3)
    for session in sessions:
        await daemon.wait(session, "running")
    other, untouched = await running(daemon, ["cat"])
    os.kill(await tmux_server(daemon, sessions[0]), signal.SIGKILL)
    for session in sessions:
        _, agent = await generation(daemon, session, 2)
        assert liveness(agent) is Liveness.ALIVE
        assert (await ended(daemon, session, 1))["exit_kind"] == "lost"
    assert liveness(untouched) is Liveness.ALIVE
    assert (await generation(daemon, other, 1))[1] == untouched
    await daemon.call("send", target=sessions[0], text="in a new terminal", request_id=os.urandom(16).hex())
    await until(lambda: shows(daemon, f"{sessions[0]}.2", "in a new terminal"))


STUBBORN = "trap '' HUP TERM INT; echo up; while :; do sleep 0.1; done"


async def test_an_agent_whose_wrapper_was_killed_is_ended_and_runs_again(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["sh", "-c", STUBBORN])
    files = RunDirectory(daemon.home, f"{session}.1")
    await until(lambda: shows(daemon, files.runner_id, "up"))
    wrapper = files.wrapper()
    assert wrapper is not None
    send(wrapper, signal.SIGKILL)
    _, again = await generation(daemon, session, 2)
    assert liveness(agent) is Liveness.DEAD
    assert liveness(again) is Liveness.ALIVE
    assert (await ended(daemon, session, 1))["exit_kind"] == "lost"
    assert marked(runner_id=f"{session}.1") == []


LEAVES_CHILDREN = """
import os, signal, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        with open("pids", "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(1000)
        os._exit(0)
print("up", flush=True)
time.sleep(1000)
"""


async def children(directory: Path, count: int) -> list[ProcessIdentity]:
    path = directory / "pids"
    await until(lambda: path.exists() and len(path.read_text().split()) == count)
    found = [identify(int(pid)) for pid in path.read_text().split()]
    return [one for one in found if one]


async def test_nothing_outlives_its_session(daemon: DaemonProcess) -> None:
    (daemon.home.root / "work").mkdir()
    project = await daemon.project(["python3", "-c", LEAVES_CHILDREN], daemon.home.root / "work")
    (session,) = await daemon.launch(project)
    await daemon.wait(session, "running")
    first = await children(daemon.home.root / "work", 3)
    _, agent = await generation(daemon, session, 1)
    send(agent, signal.SIGKILL)
    await generation(daemon, session, 2)
    assert all(liveness(one) is Liveness.DEAD for one in first)
    second = (await children(daemon.home.root / "work", 6))[-3:]
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    assert all(liveness(one) is Liveness.DEAD for one in second)
    assert marked(session_id=session) == []


async def test_exit_codes_and_signals_are_recorded(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["sh", "-c", "echo oh no; read line; exit 3"])
    await daemon.call("send", target=session, text="go", request_id=os.urandom(16).hex())
    found = await ended(daemon, session, 1)
    assert (found["exit_kind"], found["exit_code"], found["status"]) == ("crashed", 3, "failed")
    assert "oh no" in found["last_lines"]
    _, again = await generation(daemon, session, 2)
    send(again, signal.SIGSEGV)
    found = await ended(daemon, session, 2)
    assert (found["exit_code"], found["exit_reason"]) == (139, "it ended with exit code 139 (SIGSEGV)")
    (told, *_) = await events(daemon, session, "runner.failed")
    assert (told["exit_code"], told["kind"], "oh no" in told["last_lines"]) == (3, "crashed", True)
    assert liveness(agent) is Liveness.DEAD


async def test_who_is_told_to_end_from_outside_runs_again(daemon: DaemonProcess) -> None:
    """As at the machine's shutdown, where every process gets SIGTERM."""
    polite = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
    session, agent = await running(daemon, ["sh", "-c", polite])
    await until(lambda: shows(daemon, f"{session}.1", "up"))
    os.killpg(os.getpgid(agent.pid), signal.SIGTERM)
    await generation(daemon, session, 2)
    found = await ended(daemon, session, 1)
    assert (found["exit_kind"], found["exit_code"]) == ("lost", 0)
    (told,) = await events(daemon, session, "runner.failed")
    assert told["signals"] == ["TERM"]


async def test_the_environment_of_the_launch_is_kept_and_the_daemons_stays_out(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await daemon.start(settings={"OF_THE_DAEMON": "secret"})
    tools = daemon.home.root / "tools"
    tools.mkdir()
    (tools / "my-agent").write_text('#!/bin/sh\nenv >"env.$STRATAVORE_RUNNER_ID"\nexec sleep 1000\n')
    (tools / "my-agent").chmod(0o755)
    project = await daemon.project(["my-agent"], daemon.home.root / "tools")
    session = "5a5a5a5a-0000-4000-8000-000000000001"
    write_environment(
        daemon.home.session_environment(session),
        {"PATH": f"{tools}:{os.environ['PATH']}", "API_KEY": "of the shell\nin lines", "TMUX": "x"},
    )
    await daemon.call("launch", project=project, session_ids=[session])
    await daemon.wait(session, "running")
    _, agent = await generation(daemon, session, 1)
    await daemon.restart()
    send(agent, signal.SIGKILL)
    await generation(daemon, session, 2)
    for number in (1, 2):
        file = tools / f"env.{session}.{number}"
        await until(lambda file=file: file.exists() and "STRATAVORE_PROJECT" in file.read_text())  # type: ignore[misc]
        text = file.read_text()
        assert "API_KEY=of the shell\nin lines\n" in text
        assert "OF_THE_DAEMON" not in text and "TMUX=" not in text
        assert "STRATAVORE_TEMPORAL" not in text and "STRATAVORE_POSTGRES" not in text


async def test_a_program_that_is_not_there_ends_its_session_with_a_sentence(daemon: DaemonProcess) -> None:
    (session,) = await daemon.launch(await daemon.project(["no-such-program"]))
    found = await daemon.wait(session, "ended")
    assert found["reason"] == "'no-such-program' was not found"
    assert (await ended(daemon, session, 1))["status"] == "failed"


async def test_a_program_that_went_away_parks_its_session(daemon: DaemonProcess) -> None:
    program = daemon.home.root / "my-agent"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    session, agent = await running(daemon, [str(program)])
    program.unlink()
    send(agent, signal.SIGKILL)
    found = await daemon.wait(session, "parked")
    assert found["reason"] == f"'{program}' was not found"


async def test_the_prompt_reaches_the_first_runner_that_lives_to_be_told(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await daemon.start(kill_at="send.begin.before")
    (session,) = await daemon.launch(await daemon.project(["cat"]), prompt="the first words")
    await until(lambda: daemon.ended, what="the daemon's death")
    agent = RunDirectory(daemon.home, f"{session}.1").agent()
    assert agent is not None
    send(agent, signal.SIGKILL)
    await daemon.start()
    await generation(daemon, session, 2)
    await until(lambda: shows(daemon, f"{session}.2", "the first words"), what="the prompt")
    _, agent = await generation(daemon, session, 2)
    send(agent, signal.SIGKILL)
    await generation(daemon, session, 3)
    await daemon.call("send", target=session, text="more", request_id=os.urandom(16).hex())
    await until(lambda: shows(daemon, f"{session}.3", "more"), what="the text")
    assert not shows(daemon, f"{session}.3", "the first words")


async def test_heartbeats_reach_temporal(daemon: DaemonProcess) -> None:
    session, _ = await running(daemon, ["cat"])
    handle = (await daemon.client()).get_workflow_handle(workflow_id(session))

    async def supervised(*, heard: bool) -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        known = [(one.activity_id, one.attempt) for one in pending if one.last_started_time.seconds]
        return known == [(f"{session}.1", 1)] and pending[0].HasField("last_heartbeat_time") is heard

    await answer(lambda: supervised(heard=False), what="the supervision")
    await daemon.restart()  # takes over, and says so at once
    await answer(lambda: supervised(heard=True), what="a heartbeat")


async def test_a_supervision_that_somebody_pauses_in_the_web_ui_goes_on(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    client = await daemon.client()
    handle = client.get_workflow_handle(workflow_id(session))

    async def supervision() -> Any:
        pending = (await handle.describe()).raw_description.pending_activities
        return next((one for one in pending if one.activity_id == f"{session}.1"), None)

    async def begun() -> bool:
        found = await supervision()
        return found is not None and found.last_started_time.seconds > 0

    # One that is paused before is ended all the same when its runner ends, but Temporal keeps no heartbeat of it.
    await answer(begun, what="the supervision")
    await client.workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=daemon.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id(session)),
            id=f"{session}.1",
        )
    )
    await daemon.restart()

    async def heard() -> bool:
        return bool((await supervision()).HasField("last_heartbeat_time"))

    await answer(heard, what="a heartbeat")
    send(agent, signal.SIGKILL)
    await generation(daemon, session, 2)
    assert "Traceback" not in daemon.log.read_text()


async def test_a_workflow_terminated_by_hand_leaves_an_agent_that_can_be_ended(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    client = await daemon.client()
    await client.get_workflow_handle(workflow_id(session)).terminate()
    assert liveness(agent) is Liveness.ALIVE
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")
    assert await wait_dead(agent, 0)
    assert await daemon.fetch("SELECT 1 FROM admissions") == []


async def test_a_workflow_terminated_by_hand_leaves_an_agent_that_goes_on(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    client = await daemon.client()
    await client.get_workflow_handle(workflow_id(session)).terminate()
    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")
    assert liveness(agent) is Liveness.DEAD
    await daemon.command(session, "resume")
    await generation(daemon, session, 2)


async def test_the_end_of_an_agent_without_workflow_is_the_sessions(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    client = await daemon.client()
    await client.get_workflow_handle(workflow_id(session)).terminate()
    send(agent, signal.SIGKILL)
    found = await daemon.wait(session, "ended")
    assert "its workflow had been terminated" in found["reason"]
    assert await daemon.fetch("SELECT 1 FROM admissions") == []
    await daemon.command(session, "resume")
    await generation(daemon, session, 2)


async def test_a_session_whose_workflow_is_lost_goes_on(daemon: DaemonProcess) -> None:
    """As after the loss of Temporal's data: it does not know the workflow at all, and nobody decided anything."""
    session, agent = await running(daemon, ["cat"])
    client = await daemon.client()
    handle = client.get_workflow_handle(workflow_id(session))
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=handle.id)
        )
    )

    async def lost() -> bool:
        try:
            await handle.describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await answer(lost, what="the deletion of the workflow")
    send(agent, signal.SIGKILL)
    await generation(daemon, session, 2)
    assert (await daemon.wait(session, "running"))["reason"] is None


@pytest.mark.parametrize("action", ["terminate", "pause"])
async def test_a_workflow_terminated_by_hand_while_its_runner_starts(
    daemon_process: DaemonProcess, action: str
) -> None:
    """The agent lives, and nothing but its run directory knows of it."""
    daemon = daemon_process
    await daemon.start(kill_at="launch.run.before")
    (session,) = await daemon.launch(await daemon.project(["cat"]))
    await until(lambda: daemon.ended, what="the daemon's death")
    agent = RunDirectory(daemon.home, f"{session}.1").agent()
    assert agent is not None
    client = await daemon.client()
    await client.get_workflow_handle(workflow_id(session)).terminate()
    await daemon.start()
    await daemon.command(session, action)
    await daemon.wait(session, "ended", "paused")
    assert liveness(agent) is Liveness.DEAD
    await daemon.command(session, "resume")
    await generation(daemon, session, 2)


async def test_a_runner_that_cannot_be_started_says_why_until_it_can(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    session = str(uuid.uuid4())
    in_the_way = daemon.home.run_directory(f"{session}.1")
    in_the_way.write_text("")
    await daemon.call("launch", project=project, session_ids=[session])

    async def reason() -> str:
        found = await daemon.call("list_sessions")
        return str(found[0]["reason"] or "") if found else ""

    assert "it is a file" in await answer(reason, what="the reason")
    in_the_way.unlink()
    await daemon.wait(session, "running")
    assert await reason() == ""
