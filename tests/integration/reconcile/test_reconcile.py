"""Each difference made for real, and reconciled: said in words, repaired if that is safe, and gone then."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from stratavore.control import Control
from stratavore.naming import TASK_QUEUE, workflow_id
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, ProcessIdentity, identify, liveness, wait_dead
from stratavore.store.database import Database
from tests.integration.worker.watching import events, generation, running, terminate_workflow
from tests.support.daemon import DaemonProcess
from tests.support.stacks import Stack
from tests.support.waiting import PATIENCE_SECONDS, answer

TABLES = ("sessions", "runners", "admissions", "events", "outbox", "steps", "hosts")


async def reconcile(daemon: DaemonProcess, **options: Any) -> list[dict[str, Any]]:
    """What is found."""
    found: list[dict[str, Any]] = (await daemon.call("reconcile", **options))["differences"]
    return found


async def one_found(daemon: DaemonProcess, kind: str, **options: Any) -> dict[str, Any]:
    """The only thing that differs; a dry run says the same and changes nothing."""
    before = await dump(daemon)
    (would,) = await reconcile(daemon, dry_run=True, **options)
    assert await dump(daemon) == before
    (did,) = await reconcile(daemon, **options)
    assert (would["kind"], would["subject"], would["what"]) == (did["kind"], did["subject"], did["what"])
    assert did["kind"] == kind
    assert would["outcome"] == ("found" if did["outcome"] != "left" else "left")
    return did


async def dump(daemon: DaemonProcess) -> list[Any]:
    """All that Postgres says of sessions, but for what changes by itself."""
    # What the monitor sees, and when the lease is renewed.
    restless = (
        "ARRAY['memory_mb','cpu_percent','activity','activity_at','followed','renewed_at','lease_expires_at','machine']"
    )
    quiet = "type NOT IN ('runner.activity')"
    wanted = {"events": quiet, "outbox": f"event_id IN (SELECT id FROM events WHERE {quiet})"}
    # The order of an event is taken from its session's row.
    return [
        await daemon.fetch(
            f"SELECT to_jsonb(t) - {restless} - ARRAY['last_sequence','sequence','updated_at'] AS row FROM {table} AS t"
            f" WHERE {wanted.get(table, 'true')} ORDER BY 1"
        )
        for table in TABLES
    ]


async def workflow(daemon: DaemonProcess, session: str) -> "WorkflowHandle[Any, Any]":
    return (await daemon.client()).get_workflow_handle(workflow_id(session))


async def alerts(daemon: DaemonProcess) -> list[dict[str, Any]]:
    return [one for one in await daemon.call("list_events") if one["type"] == "system.alert"]


async def nothing_differs(daemon: DaemonProcess) -> None:
    assert await reconcile(daemon) == []


def orphan(state_directory: Path, runner_id: str) -> ProcessIdentity:
    """A process of a runner that has left its parents: forked twice, in a session of its own."""
    script = (
        "import os, sys, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if pid := os.fork(): print(pid, flush=True); os._exit(0)\n"
        "os.close(1)\n"
        "time.sleep(600)\n"
    )
    marks = {"STRATAVORE_RUNNER_ID": runner_id, "STRATAVORE_HOME": str(state_directory)}
    told = subprocess.run([sys.executable, "-c", script], env=os.environ | marks, stdout=subprocess.PIPE, check=True)
    found = identify(int(told.stdout))
    assert found is not None
    return found


@pytest.fixture
async def stray(daemon: DaemonProcess) -> AsyncIterator[list[ProcessIdentity]]:
    """Processes of a test's own, which end with it."""
    made: list[ProcessIdentity] = []
    yield made
    for one in made:
        if liveness(one) is Liveness.ALIVE:
            os.kill(one.pid, signal.SIGKILL)


async def test_an_agent_whose_workflow_was_terminated_is_taken_up_or_ended_if_asked(
    daemon: DaemonProcess,
) -> None:
    session, agent = await running(daemon, ["cat"])
    await nothing_differs(daemon)
    await terminate_workflow(daemon, session)
    found = await one_found(daemon, "session_without_workflow")
    assert found["what"] == f"The session {session[:8]} is shown as running, but its workflow is terminated"
    assert (found["outcome"], found["session_id"]) == ("repaired", session)
    assert found["since"] is not None
    await nothing_differs(daemon)
    assert liveness(agent) is Liveness.ALIVE
    (told,) = await events(daemon, session, "system.reconciled")
    assert (told["kind"], told["subject"]) == ("session_without_workflow", session)
    # The workflow has it: what ends the agent is heard, and the session goes on.
    os.kill(agent.pid, signal.SIGKILL)
    _, agent = await generation(daemon, session, 2)
    await terminate_workflow(daemon, session)
    assert (await one_found(daemon, "session_without_workflow", end_orphans=True))["outcome"] == "repaired"
    await daemon.wait(session, "ended")
    assert await wait_dead(agent, PATIENCE_SECONDS)
    await nothing_differs(daemon)


async def test_a_session_without_agent_ends_with_its_terminated_workflow(daemon: DaemonProcess) -> None:
    """Those in line go on: the place that it held is given back."""
    project = await daemon.project(["cat"])
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=1)
    (first,) = await daemon.launch(project)
    await daemon.wait(first, "running")
    queued, last = await daemon.launch(project, 2)
    for one in (queued, last):
        await daemon.wait_in_line(one)
    (paused,) = await daemon.launch(await daemon.project(["cat"]))
    await daemon.wait(paused, "running")
    await daemon.command(paused, "pause")
    await daemon.wait(paused, "paused")
    for one in (queued, paused):
        await terminate_workflow(daemon, one)
    found = await reconcile(daemon)
    assert {(one["kind"], one["subject"], one["outcome"]) for one in found} == {
        ("session_without_workflow", one, "repaired") for one in (queued, paused)
    }
    assert (await daemon.wait(queued, "ended"))["reason"] == "its workflow had been terminated"
    assert (await daemon.wait(paused, "ended"))["position"] is None
    # The one that runs ends without its workflow, and who gets its slot hears of it.
    await terminate_workflow(daemon, first)
    _, agent = await generation(daemon, first, 1)
    os.kill(agent.pid, signal.SIGKILL)
    await daemon.wait(last, "running")
    await nothing_differs(daemon)


async def test_a_workflow_without_session_is_told_and_terminated_only_if_asked(
    stack: Stack, database: str, namespace: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await Client.connect(stack.temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
    opened = await Database.open(database, b"k" * 32, connections=3)
    control = Control(home, "here", opened, client)
    session = str(uuid.uuid4())
    try:
        # Nobody takes its tasks: no row is ever written.
        handle = await client.start_workflow("Session", id=workflow_id(session), task_queue=f"{TASK_QUEUE}-of-nobody")
        assert (await control.reconcile()).differences == ()  # it may be about to begin
        monkeypatch.setattr("stratavore.reconcile.compare.PATIENCE", timedelta(0))

        async def told() -> Any:
            return (await control.reconcile()).differences

        (left,) = await answer(told, what="the search that finds it")
        assert (left.kind, left.subject, left.outcome) == ("workflow_without_session", session, "left")
        (ended,) = (await control.reconcile(end_orphans=True)).differences
        assert ended.outcome == "repaired"
        assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED
        types = [one.type for one in await control.list_events()]
        assert sorted(types) == ["system.alert", "system.reconciled"]
    finally:
        await opened.close()


async def test_processes_and_terminals_of_a_runner_that_has_ended_are_ended(
    daemon: DaemonProcess, stray: list[ProcessIdentity]
) -> None:
    session, _ = await running(daemon, ["cat"])
    await daemon.command(session, "pause")
    await daemon.wait(session, "paused")
    stray.append(orphan(daemon.home.root, f"{session}.1"))
    found = await one_found(daemon, "orphan_processes")
    assert found["what"] == (f"Processes of the runner {session[:8]}.1 live ({stray[0].pid}), but its end is recorded")
    assert found["outcome"] == "repaired"
    assert liveness(stray[0]) is Liveness.DEAD
    (row,) = await daemon.fetch("SELECT project_id::text FROM sessions")
    socket = daemon.home.tmux_socket(row["project_id"])
    name = f"{session}_1"
    tmux = ("tmux", "-S", str(socket))
    without = {key: value for key, value in os.environ.items() if key not in ("TMUX", "STRATAVORE_RUNNER_ID")}
    subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-s", name, "sleep 600"], env=without, check=True)
    found = await one_found(daemon, "orphan_terminal")
    assert (found["subject"], found["outcome"]) == (f"{session}.1", "repaired")
    assert subprocess.run([*tmux, "has-session", "-t", f"={name}"], capture_output=True, check=False).returncode != 0
    await nothing_differs(daemon)


async def test_what_postgres_does_not_know_is_never_ended_unasked(
    daemon: DaemonProcess, stray: list[ProcessIdentity]
) -> None:
    """A database restored from a backup knows less than the host: that proves nothing."""
    other = daemon.home.root / "another"  # a state directory of its own: none of our business
    stray.append(orphan(other, f"{uuid.uuid4()}.1"))
    await nothing_differs(daemon)
    runner = f"{uuid.uuid4()}.1"
    stray.append(orphan(daemon.home.root, runner))
    found = await one_found(daemon, "orphan_processes")
    assert (found["subject"], found["outcome"]) == (runner, "left")
    assert "which proves nothing" in found["what"]
    await reconcile(daemon)
    assert liveness(stray[1]) is Liveness.ALIVE
    (told,) = await alerts(daemon)
    assert (told["data"]["subject"], told["data"]["severity"]) == (runner, "warning")
    assert (await one_found(daemon, "orphan_processes", end_orphans=True))["outcome"] == "repaired"
    assert [liveness(one) for one in stray] == [Liveness.ALIVE, Liveness.DEAD]
    await nothing_differs(daemon)


async def test_a_runner_that_nobody_watches_is_watched(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    await daemon.settled_history(session)  # else its supervision comes to the next daemon, which watches it then
    await daemon.fetch("UPDATE runners SET host = 'elsewhere'")
    await daemon.restart()
    await nothing_differs(daemon)  # it is not this host's to judge
    await daemon.fetch("UPDATE runners SET host = $1", daemon.host)
    os.kill(agent.pid, signal.SIGKILL)
    assert await wait_dead(agent, PATIENCE_SECONDS)
    found = await one_found(daemon, "runner_unwatched")
    assert found["what"].endswith("nobody watches it; it has no process")
    await generation(daemon, session, 2)
    await nothing_differs(daemon)


async def test_a_runner_is_watched_until_its_end_is_recorded(daemon: DaemonProcess) -> None:
    """However long its workflow takes for it, which Temporal has told already."""
    session, agent = await running(daemon, ["cat"])
    await daemon.settled_history(session)
    handle = await workflow(daemon, session)

    async def is_told() -> bool:
        return not (await handle.describe()).raw_description.pending_activities

    async with daemon.connection() as connection, connection.transaction():
        await connection.execute("LOCK TABLE steps IN SHARE MODE")  # nothing is recorded meanwhile
        os.kill(agent.pid, signal.SIGKILL)
        await answer(is_told, what="that Temporal is told of the end")
        assert await reconcile(daemon, dry_run=True) == []
    await generation(daemon, session, 2)
    await nothing_differs(daemon)


async def test_a_runner_that_outlives_its_session_is_ended_with_its_processes(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    handle = await workflow(daemon, session)
    await handle.terminate()
    await daemon.fetch("UPDATE sessions SET state = 'ended', ended_at = now()")
    found = await reconcile(daemon)
    assert [(one["kind"], one["outcome"]) for one in found] == [
        ("runner_outlives_session", "repaired"),
        ("slot_unused", "repaired"),
    ]
    assert await wait_dead(agent, PATIENCE_SECONDS)
    (row,) = await daemon.fetch("SELECT status, exit_reason FROM runners")
    assert tuple(row) == ("terminated", "it outlived its session")
    await nothing_differs(daemon)


async def test_slots_are_counted_as_they_are_used(daemon: DaemonProcess) -> None:
    project = await daemon.project(["cat"])
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=1)
    (session,) = await daemon.launch(project)
    await daemon.wait(session, "running")
    (waiting,) = await daemon.launch(project)
    await daemon.wait_in_line(waiting)
    # The slot that is used is counted for nobody: one more could run.
    await daemon.fetch("DELETE FROM admissions WHERE session_id = $1", session)
    assert (await one_found(daemon, "slot_missing"))["subject"] == session
    quotas = await daemon.call("show_quotas", project=project)
    (quota,) = [one for one in quotas if (one["project"], one["name"]) == (project, "max_concurrent_runners")]
    assert (quota["used"], quota["waiting"]) == (1, 1)
    # The one in line is forgotten by it.
    await daemon.fetch("DELETE FROM admissions WHERE session_id = $1", waiting)
    assert (await one_found(daemon, "place_missing"))["subject"] == waiting
    await daemon.wait_in_line(waiting)
    # A slot that is held by nobody who runs keeps the next one waiting.
    await daemon.command(session, "terminate")
    await daemon.wait(waiting, "running")
    await daemon.fetch(
        "INSERT INTO admissions (session_id, project_id, granted_at) SELECT id, project_id, now() FROM sessions"
        " WHERE id = $1",
        session,
    )
    assert (await one_found(daemon, "slot_unused"))["subject"] == session
    await nothing_differs(daemon)


async def test_what_only_a_person_can_judge_is_told(daemon: DaemonProcess) -> None:
    session, agent = await running(daemon, ["cat"])
    young, old = (daemon.home.run_directory(f"{uuid.uuid4()}.1") for _ in range(2))
    strange = daemon.home.runners / "not-ours"
    for one in (young, old, strange):
        one.mkdir()
        (one / "log").write_text("the last words")
    then = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    for path in (old / "log", old, strange / "log", strange):
        os.utime(path, (then, then))
    found = {one["subject"]: one for one in await reconcile(daemon, dry_run=True)}
    assert {name: one["outcome"] for name, one in found.items()} == {young.name: "left", old.name: "found"}
    assert old.exists()
    found = {one["subject"]: one for one in await reconcile(daemon)}
    assert found[old.name]["outcome"] == "repaired"
    assert (young.exists(), old.exists(), strange.exists()) == (True, False, True)
    assert [one["subject"] for one in await reconcile(daemon)] == [young.name]
    shutil.rmtree(young)
    await daemon.fetch(
        "INSERT INTO hosts (name, daemon_id, state_directory, version, boot_id, renewed_at, lease_expires_at)"
        " SELECT 'elsewhere', daemon_id, gen_random_uuid(), version, boot_id, now() - interval '1 hour',"
        " now() - interval '1 hour' FROM hosts"
    )
    await nothing_differs(daemon)  # nobody misses it
    await daemon.fetch("UPDATE runners SET host = 'elsewhere'")
    found = await daemon.call("reconcile")
    (difference,) = found["differences"]
    assert (difference["kind"], difference["outcome"]) == ("host_away", "left")
    assert any("host elsewhere" in one for one in found["unseen"])
    assert liveness(agent) is Liveness.ALIVE
    await daemon.fetch("UPDATE runners SET host = $1", daemon.host)
    await daemon.command(session, "terminate")
    await daemon.wait(session, "ended")


async def test_nothing_that_is_right_is_changed_while_sessions_come_and_go(daemon: DaemonProcess) -> None:
    """Reconciled again and again meanwhile: each session does what it would have done, and nothing is repaired."""
    project = await daemon.project(["cat"])
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=4)
    over = asyncio.Event()

    async def again_and_again() -> int:
        times = 0
        while not over.is_set():
            found = [one for one in await reconcile(daemon) if one["outcome"] != "gone"]
            assert found == [], found
            times += 1
        return times

    async def live(number: int) -> None:
        (session,) = await daemon.launch(project)
        await daemon.wait(session, "running")
        if number % 3 == 0:
            (runner,) = [one for one in await daemon.call("list_runners") if one["session_id"] == session]
            os.kill(runner["pid"], signal.SIGKILL)
            await generation(daemon, session, 2)
        if number % 3 == 1:
            await daemon.command(session, "pause")
            await daemon.wait(session, "paused")
            await daemon.command(session, "resume")
            await daemon.wait(session, "running")
        await daemon.command(session, "terminate")
        await daemon.wait(session, "ended")

    reconciling = asyncio.create_task(again_and_again())
    await asyncio.gather(*(live(number) for number in range(12)))
    over.set()
    assert await reconciling >= 3
    assert not [one for one in await daemon.call("list_events", limit=10000) if one["type"] == "system.reconciled"]
