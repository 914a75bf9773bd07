"""And if this one is broken? What cannot be seen ends nobody, and what is broken of one holds up no other."""

import json
import os
import shutil
import signal
import uuid
from pathlib import Path

import pytest

from stratavore.environment import write_environment
from stratavore.errors import EXIT_FAILED, RemoteError
from stratavore.runtime.processes import Liveness, liveness
from stratavore.runtime.rundir import RunDirectory
from tests.integration.worker.conversing import assistant
from tests.integration.worker.watching import ended, events, generation, running
from tests.support import failing_daemon
from tests.support.daemon import DaemonProcess
from tests.support.servers import REPOSITORY
from tests.support.waiting import answer, until

KINDS = ("runner.stopped", "runner.failed", "session.resumed", "session.ended", "system.reconciled")


async def start_failing(daemon: DaemonProcess, rabbitmq: str | None = None) -> dict[str, str]:
    """A daemon that fails when it is asked to; a relay is a part of it if it has a RabbitMQ. Returns its settings."""
    daemon.program = "tests.support.failing_daemon"
    path = f"{failing_daemon.slow_tmux(daemon.home)}{os.pathsep}{os.environ['PATH']}"
    settings = {"PYTHONPATH": str(REPOSITORY), "PATH": path}
    if rabbitmq:
        settings |= {"STRATAVORE_RABBITMQ__ENABLED": "true", "STRATAVORE_RABBITMQ__URL": rabbitmq}
    await daemon.start(settings=settings)
    return settings


async def test_what_cannot_be_seen_ends_nobody(daemon_process: DaemonProcess) -> None:
    """An empty process list, a /proc that cannot be read, a tmux that does not answer; also over a daemon's start."""
    daemon = daemon_process
    settings = await start_failing(daemon)
    session, agent = await running(daemon, ["cat"])
    other, its_agent = await running(daemon, ["cat"])
    faults = [
        daemon.home.root / name
        for name in (failing_daemon.EMPTY_PROCESS_LIST, failing_daemon.SLOW_TMUX, failing_daemon.UNREADABLE_PROC)
    ]
    for fault in faults:
        fault.touch()
        if fault is not faults[-1]:
            await compares_nothing(daemon)
    await until(lambda: "the monitor could not" in daemon.log.read_text(), what="a look that failed")
    await until(lambda: "were not brought up to date" in daemon.log.read_text(), what="a terminal that is silent")
    faults[-1].unlink()  # a daemon needs to know which boot this is
    daemon.kill()
    await daemon.start(settings=settings)
    await compares_nothing(daemon)
    for fault in faults[:-1]:
        fault.unlink()
    for one, process in ((session, agent), (other, its_agent)):
        assert (await generation(daemon, one, 1))[1] == process
        assert liveness(process) is Liveness.ALIVE
        assert [kind for kind in KINDS if await events(daemon, one, kind)] == []
    os.kill(agent.pid, signal.SIGKILL)  # and what is seen counts again
    await generation(daemon, session, 2)


async def test_an_agent_that_dies_while_its_terminal_is_silent_runs_again(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await start_failing(daemon)
    session, agent = await running(daemon, ["cat"])
    (daemon.home.root / failing_daemon.SLOW_TMUX).touch()
    os.kill(agent.pid, signal.SIGKILL)
    assert (await ended(daemon, session, 1))["exit_code"] == 128 + signal.SIGKILL
    (daemon.home.root / failing_daemon.SLOW_TMUX).unlink()
    await generation(daemon, session, 2)


async def test_a_transcript_that_cannot_be_read_is_told_and_holds_up_no_end(daemon_process: DaemonProcess) -> None:
    daemon = daemon_process
    await start_failing(daemon)
    session = await launch_claude(daemon)
    (daemon.home.root / failing_daemon.UNREADABLE_TRANSCRIPTS).touch()
    _, agent = await generation(daemon, session, 1)
    os.kill(agent.pid, signal.SIGKILL)
    await ended(daemon, session, 1)
    (alert,) = await events(daemon, session, "system.alert")
    assert alert["runner_id"] == f"{session}.1"
    assert alert["message"].endswith("could not be read: [Errno 5] Input/output error")
    await generation(daemon, session, 2)


async def test_a_transcript_that_is_a_directory_holds_up_nobody(daemon: DaemonProcess) -> None:
    session = await launch_claude(daemon)
    transcripts = daemon.home.root / ".claude" / "projects" / "-site"
    (transcripts / f"{session}.jsonl").mkdir(parents=True)
    with RunDirectory(daemon.home, f"{session}.1").hooks.open("a") as hooks:
        path = transcripts / f"{session}.jsonl"
        hooks.write(
            f'1 {{"session_id": "{session}", "hook_event_name": "SessionStart", "transcript_path": "{path}"}}\n'
        )
    await until(lambda: "cannot be read" in daemon.log.read_text(), what="a look at it")
    _, agent = await generation(daemon, session, 1)
    os.kill(agent.pid, signal.SIGKILL)
    await ended(daemon, session, 1)
    await generation(daemon, session, 2)


async def test_conversations_that_were_left_count_though_the_daemon_dies_once_it_has_heard_of_them(
    daemon: DaemonProcess,
) -> None:
    session = await launch_claude(daemon)
    daemon.kill()
    hooks = RunDirectory(daemon.home, f"{session}.1").hooks
    spent = {"msg_1": 3, "msg_2": 5, "msg_3": 7}
    for reply, output in spent.items():  # and a /clear before each but the first
        path = daemon.home.root / f"{uuid.uuid4()}.jsonl"
        path.write_bytes(assistant(reply, output))
        told = {"hook_event_name": "SessionStart", "session_id": path.stem, "transcript_path": str(path)}
        with hooks.open("a") as file:
            file.write(f"1 {json.dumps(told)}\n")
    daemon.spawn(kill_at="monitor.flush.after")
    await until(lambda: daemon.ended, what="its death")
    assert await daemon.fetch("SELECT message_id FROM usage") == []
    await daemon.start()

    async def counted() -> dict[str, int]:
        rows = await daemon.fetch("SELECT message_id, output_tokens FROM usage WHERE session_id = $1", session)
        return {row["message_id"]: row["output_tokens"] for row in rows} if len(rows) == len(spent) else {}

    assert await answer(counted, what="the whole account") == spent


async def test_a_row_that_is_not_understood_holds_up_no_other(daemon: DaemonProcess) -> None:
    strange, agent = await running(daemon, ["cat"])
    other, its_agent = await running(daemon, ["cat"])
    daemon.kill()
    await daemon.fetch("""UPDATE runners SET followed = '{"hooks_read": "many"}' WHERE session_id = $1""", strange)
    await daemon.start()
    assert "runners taken over: 2" in daemon.log.read_text()
    for one in (agent, its_agent):
        os.kill(one.pid, signal.SIGKILL)
    for session in (strange, other):
        await generation(daemon, session, 2)
    # A session in a state that only another version knows is told, and the others are compared.
    await daemon.fetch("ALTER TABLE sessions DROP CONSTRAINT sessions_state_check")
    await daemon.fetch("UPDATE sessions SET state = 'frozen' WHERE id = $1", strange)
    await daemon.fetch("DELETE FROM admissions WHERE session_id = $1", other)
    found = await daemon.call("reconcile")
    assert [(one["subject"], one["outcome"]) for one in found["differences"]] == [(other, "repaired")]
    assert [one for one in found["unseen"] if strange in one]
    await daemon.fetch("UPDATE sessions SET state = 'running' WHERE id = $1", strange)


async def test_deleted_parts_of_the_state_directory_end_nobody(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    shutil.rmtree(daemon.home.runners)
    shutil.rmtree(daemon.home.sessions)
    assert (await daemon.call("reconcile"))["differences"] == []
    await daemon.restart()
    assert (await generation(daemon, session, 1))[1] == agent
    os.kill(agent.pid, signal.SIGKILL)
    await generation(daemon, session, 2)


async def test_a_cancellation_that_nobody_asked_for_ends_nothing(
    daemon_process: DaemonProcess, rabbitmq_url: str
) -> None:
    daemon = daemon_process
    await start_failing(daemon, rabbitmq_url)
    session, agent = await running(daemon, ["cat"])
    fault = daemon.home.root / failing_daemon.CANCELLED
    fault.touch()
    os.kill(agent.pid, signal.SIGKILL)
    for who in ("a background job failed", "the monitor failed", "the relay failed", f"the end of {session}.1 could"):
        await until(lambda who=who: who in daemon.log.read_text(), what=f"that {who}")  # type: ignore[misc]
    fault.unlink()
    await generation(daemon, session, 2)
    assert not daemon.ended


@pytest.mark.parametrize(
    ("fault", "how"), [(failing_daemon.PART_RETURNS, "returned"), (failing_daemon.PART_CANCELLED, "was cancelled")]
)
async def test_a_part_that_ends_by_itself_ends_the_daemon_with_a_failure(
    daemon_process: DaemonProcess, rabbitmq_url: str, fault: str, how: str
) -> None:
    """Else nobody would start it again: an end with 0 is one that was asked for."""
    daemon = daemon_process
    settings = await start_failing(daemon, rabbitmq_url)
    session, agent = await running(daemon, ["cat"])
    (daemon.home.root / fault).touch()
    await until(lambda: daemon.ended, what="its end")
    assert daemon.end() == EXIT_FAILED
    said = daemon.log.read_text()
    assert f"Error: A part of the daemon, Relay.run, {how}, which it never should" in said.splitlines()[-1]
    assert "Traceback" not in said
    (daemon.home.root / fault).unlink()
    await daemon.start(settings=settings)
    assert (await generation(daemon, session, 1))[1] == agent


async def compares_nothing(daemon: DaemonProcess) -> None:
    """Without a process list nothing is compared, and a person is told so."""
    with pytest.raises(RemoteError, match="The processes of this machine cannot be seen") as refused:
        await daemon.call("reconcile", end_orphans=True)
    assert refused.value.code == "processes_unseen"


async def launch_claude(daemon: DaemonProcess) -> str:
    """A session of a program that is called claude and writes nothing, with the state directory as its home."""
    tools, site = daemon.home.root / "tools", daemon.home.root / "site"
    tools.mkdir()
    site.mkdir()
    (tools / "claude").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tools / "claude").chmod(0o755)
    name = await _project(daemon, site)
    session = str(uuid.uuid4())
    write_environment(
        daemon.home.session_environment(session),
        {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(daemon.home.root)},
    )
    await daemon.call("launch", project=name, session_ids=[session])
    await daemon.wait(session, "running")
    return session


async def _project(daemon: DaemonProcess, path: Path) -> str:
    name = f"p{uuid.uuid4().hex[:8]}"
    await daemon.call("create_project", name=name, path=str(path), agent="claude")
    return name
