"""A daemon that dies anywhere between a text and its agent: what people sent is taken once all the same."""

import os
import stat
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.client import Unanswered
from stratavore.environment import write_environment
from stratavore.runtime.rundir import RunDirectory
from tests.chaos.harness import light_claude
from tests.claude_code.messages import Kind, say
from tests.claude_code.messages_api import MessagesApi, serve
from tests.claude_code.program import PrivateHome
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

TEXT = "Do it once, please."
POINTS = ["send.begin.after", "send.type.after", "send.enter.after", "send.finish.before"]


@pytest.fixture
async def api() -> AsyncIterator[MessagesApi]:
    async with serve([say("It is done.")]) as served:
        yield served


@pytest.mark.parametrize("point", POINTS)
async def test_a_text_is_taken_once(
    daemon_process: DaemonProcess, api: MessagesApi, tmp_path: Path, point: str
) -> None:
    process = daemon_process
    await process.start(kill_at=point)
    session = await converse(process, api, tmp_path)
    request = str(uuid.uuid4())
    with pytest.raises(Unanswered):
        await process.call("send", target=session, text=TEXT, request_id=request)
    await until(lambda: process.ended, what="the daemon's death")
    await process.start()
    await process.call("send", target=session, text=TEXT, request_id=request)
    await api.until(lambda: api.asked(Kind.MAIN))

    async def done() -> bool:
        (row,) = await process.fetch("SELECT state FROM requests WHERE id = $1::text::uuid", request)
        return bool(row["state"] == "done")

    await answer(done, what="that it is known to be taken")
    # Another text: whatever stood in the box would be in front of it.
    await process.call("send", target=session, text="And this.", request_id=str(uuid.uuid4()))
    await api.until(lambda: len(api.asked(Kind.MAIN)) == 2)
    told = RunDirectory(process.home, f"{session}.1").hooks.read_text()
    assert told.count(TEXT) == 1
    assert api.asked(Kind.MAIN)[-1].texts == [TEXT, "It is done.", "And this."]


async def converse(process: DaemonProcess, api: MessagesApi, directory: Path) -> str:
    """A session whose agent waits for a prompt."""
    program = directory / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {light_claude.__file__} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = PrivateHome(directory).environment(api.url)
    session = str(uuid.uuid4())
    write_environment(
        process.home.session_environment(session),
        environment | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
    )
    await process.call("create_project", name="light", path=str(directory), agent="claude")
    await process.call("launch", project="light", session_ids=[session])

    async def idle() -> bool:
        rows = await process.fetch("SELECT activity FROM runners WHERE session_id = $1::text::uuid", session)
        return [row["activity"] for row in rows] == ["idle"]

    await answer(idle, what="an agent that waits for a prompt")
    return session
