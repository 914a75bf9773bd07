"""The state directory is destroyed, and every session is as it was when the backup was made."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stratavore.paths import Home
from stratavore.runtime.processes import Snapshot
from tests.claude_code import messages_api
from tests.claude_code.messages import say
from tests.e2e.conversing import Conversations
from tests.support import guardian
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.stacks import Stack
from tests.support.waiting import answer
from tests.support.whole_daemon import kill


@pytest.fixture
async def second(home: Home, stack: Stack, empty: str, daemon_process: DaemonProcess) -> AsyncIterator[DaemonProcess]:
    """The daemon of the same host after the loss: with an empty database, and a namespace that nobody has used."""
    made = DaemonProcess(
        home,
        temporal=stack.temporal_address,
        namespace=f"test-{uuid.uuid4().hex[:12]}",
        dsn=empty,
        rabbitmq=None,
        host=daemon_process.host,
    )
    yield made
    made.kill()


def destroy(daemon: DaemonProcess) -> None:
    """End the daemon and its agents, and delete all that they had on the disk."""
    daemon.kill()
    kill(*(one.pid for found in Snapshot().marked(home=daemon.home.root).values() for one in found))
    guardian.kill_terminals(daemon.home)
    for directory in (daemon.home.root, daemon.home.sockets):
        shutil.rmtree(directory, ignore_errors=True)


async def until_counted(daemon: DaemonProcess, session: str, replies: int) -> int:
    """Wait until so many replies are counted. Returns their tokens."""

    async def counted() -> bool:
        (row,) = await daemon.fetch("SELECT count(*) FROM usage WHERE session_id = $1", session)
        return bool(row["count"] >= replies)

    await answer(counted, what=f"{replies} replies")
    found = await daemon.call("find_session", target=session)
    return int(found["tokens_used"])


async def test_everything_goes_on(daemon: DaemonProcess, second: DaemonProcess, tmp_path: Path) -> None:
    async with messages_api.serve([say("one"), say("two"), say("three")]) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        claude = await talk.launch()
        await talk.does(claude, "idle")
        await talk.ask(claude, "remember the elephant")
        tokens = await until_counted(daemon, claude, 1)

        work = tmp_path / "work"
        project = await daemon.project(["cat"], work)
        paused, ended, running = await daemon.launch(project, 3)
        for one in (paused, ended, running):
            await daemon.wait(one, "running")
        await daemon.command(paused, "pause")
        await daemon.wait(paused, "paused")
        await daemon.command(ended, "terminate", force=True)
        await daemon.wait(ended, "ended")
        await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=1)
        waiting = []
        for _ in range(2):
            waiting += await daemon.launch(project)
            await daemon.wait(waiting[-1], "queued")

        path = tmp_path / "saved.tar"
        events = {row["id"] for row in await daemon.fetch("SELECT id FROM events")}
        await CommandLine(daemon.environment, tmp_path).done("backup", str(path))
        await talk.ask(claude, "forget it")
        (late,) = await daemon.launch(project)
        await daemon.wait(late, "queued")
        destroy(daemon)

        await CommandLine(second.environment, tmp_path).done("restore", str(path))
        talk.site.mkdir()
        talk.user.create(talk.site)
        await second.start()
        talk.daemon = second
        for one in (claude, running):
            await second.wait_for_generation(one, 2)
        assert (await second.wait(paused, "paused"))["generation"] == 1
        assert (await second.wait(ended, "ended"))["generation"] == 1
        for one in waiting:
            await second.wait(one, "queued")
        assert await second.fetch("SELECT 1 FROM sessions WHERE id = $1", late) == []
        assert events <= {row["id"] for row in await second.fetch("SELECT id FROM events")}

        assert (await second.call("find_session", target=claude))["tokens_used"] == tokens
        await talk.does(claude, "idle")
        await talk.ask(claude, "what was it?")
        said = " ".join(talk.asked[-1])
        assert "remember the elephant" in said
        assert "forget it" not in said
        assert await until_counted(second, claude, 2) > tokens
        assert len(await second.fetch("SELECT 1 FROM usage WHERE session_id = $1", claude)) == 2

        await answer(lambda: asyncio.to_thread(lambda: not second.home.restored_file.exists()), what="the comparison")
        await second.command(running, "terminate", force=True)
        await second.wait(waiting[0], "running")
        assert (await second.wait(waiting[1], "queued"))["generation"] == 0
        await second.command(waiting[0], "terminate", force=True)
        await second.wait(waiting[1], "running")
        await second.command(paused, "resume")
        assert (await second.wait(paused, "queued"))["generation"] == 1
        for one in (claude, running, paused, ended, *waiting):
            rows = await second.fetch("SELECT sequence FROM events WHERE session_id = $1 ORDER BY sequence", one)
            assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        for one in (claude, waiting[1]):
            await second.command(one, "terminate", force=True)
