"""One machine with its own servers: all that it had is lost, and it begins again from the file."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stratavore.embedded.process import Process
from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home
from stratavore.runtime.processes import Snapshot
from tests.integration.cli.test_embedded import ended, of
from tests.support import guardian
from tests.support.command_line import CommandLine
from tests.support.waiting import answer, until
from tests.support.whole_daemon import kill


@pytest.fixture
async def alone(home: Home, tmp_path: Path) -> AsyncIterator[CommandLine]:
    """The command line of a state directory where nothing was started."""
    yield CommandLine(of(home).environment, tmp_path)
    await ended(home)


async def lose_everything(alone: CommandLine, home: Home) -> None:
    """End every process of the state directory, as the machine's end does, and delete what it had."""
    status = await alone.json("daemon", "status")
    pids = [status["pid"], *(one["pid"] for one in status["servers"] if one["pid"])]
    pids += [one.pid for found in Snapshot().marked(home=home.root).values() for one in found]
    kill(*pids)
    await until(lambda: all(Process.of(pid) is None for pid in pids), what="the end of all")
    guardian.kill_terminals(home)
    for directory in (*EmbeddedStack(home, None).directories, home.sockets):
        shutil.rmtree(directory, ignore_errors=True)


async def test_a_machine_that_was_lost(alone: CommandLine, home: Home, tmp_path: Path) -> None:
    await alone.done("daemon", "start")
    await alone.done("new", "site", "--path", str(tmp_path), "--", "cat")
    await alone.done("launch", "site", "--count", "2")
    program = tmp_path / "program"
    shutil.copy("/bin/false", program)
    await alone("launch", "site", "--detach", "--", str(program))
    first, second, third = [one["session_id"] for one in await alone.json("sessions")]
    await alone.done("pause", second)

    async def parked() -> dict[str, str]:
        (found,) = [one for one in await alone.json("sessions") if one["session_id"] == third]
        return found if found["state"] == "parked" else {}

    why = (await answer(parked, what="the end of its tries"))["reason"]
    await alone.done("backup", "saved.tar")
    said = await alone.refused(5, "restore", "saved.tar")
    assert said.startswith(f"A daemon runs for {home.root} (process ")
    await lose_everything(alone, home)

    renamed = alone.with_settings(STRATAVORE_HOST="another-name")
    done = await renamed("restore", "saved.tar")
    assert done.code == 0, done
    assert "This host, another-name, takes the place of " in done.err
    assert (await renamed.refused(4, "sessions")).startswith("The daemon does not answer. Start it with")
    await renamed.done("daemon", "start")

    async def as_it_was() -> bool:
        runs = [one["runner_id"] for one in await renamed.json("runners")]
        found = {one["session_id"]: one["state"] for one in await renamed.json("sessions")}
        return runs == [f"{first}.2"] and found == {first: "running", second: "paused", third: "parked"}

    await answer(as_it_was, what="all sessions as they were")

    async def agreed() -> bool:
        return not (await renamed.json("reconcile"))["differences"]

    await answer(agreed, what="a workflow of each")
    assert await as_it_was()
    assert [one["reason"] for one in await renamed.json("sessions")] == [None, None, why]
    await renamed.done("resume", second)
    await renamed.done("daemon", "stop", "--all", "--force")
