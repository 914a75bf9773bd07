"""A daemon that dies anywhere between a text and its agent: what people sent is taken once all the same."""

import os
import signal
import stat
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from cli.client import Unanswered
from stratavore.environment import write_environment
from stratavore.runtime.rundir import RunDirectory
from tests.chaos import asking_claude, forgetful_claude
from tests.chaos.harness import light_claude
from tests.claude_code.messages import Kind, say
from tests.claude_code.messages_api import MessagesApi, serve
from tests.claude_code.program import PrivateHome
from tests.support.daemon import DaemonProcess
from tests.support.servers import REPOSITORY
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


async def test_what_an_agent_died_with_outlives_the_next_one_and_its_daemon(
    daemon_process: DaemonProcess, tmp_path: Path
) -> None:
    process = daemon_process
    await process.start()
    session = await launch(process, tmp_path, program=forgetful_claude, environment={})
    await shows(process, session, "idle")
    await process.call("send", target=session, text=TEXT, request_id=str(uuid.uuid4()))
    await shows(process, session, "busy")
    process.kill()
    await process.start(kill_at="launch.run.after")
    await end_agent(process, f"{session}.1")
    await until(lambda: process.ended, what="the daemon's death")
    await end_agent(process, f"{session}.2")
    await process.start()
    hooks = RunDirectory(process.home, f"{session}.3").hooks
    await until(lambda: hooks.exists() and TEXT in hooks.read_text(), what="that the third runner is told it")
    assert hooks.read_text().count(TEXT) == 1


# When it dies before the key, the question still stands, and is answered; after it, another one does.
@pytest.mark.parametrize("point", ["send.begin.after", "send.type.after", "send.finish.before"])
async def test_an_answer_is_given_to_the_question_that_was_seen(
    daemon_process: DaemonProcess, tmp_path: Path, point: str
) -> None:
    process = daemon_process
    await process.start(kill_at=point)
    session = await launch(process, tmp_path, program=asking_claude, environment={})
    await shows(process, session, "waiting")
    request = str(uuid.uuid4())
    with pytest.raises(Unanswered):
        await process.call("send", target=session, text="1", request_id=request, answer=True)
    await until(lambda: process.ended, what="the daemon's death")
    await process.start()
    await process.call("send", target=session, text="1", request_id=request, answer=True)
    answers = tmp_path / "answers"
    await until(answers.exists, what="an answer")
    assert answers.read_text() == f"{asking_claude.QUESTIONS[0]} 1\n"
    await process.call("send", target=session, text="2", request_id=str(uuid.uuid4()), answer=True)
    assert answers.read_text().splitlines()[1:] == [f"{asking_claude.QUESTIONS[1]} 2"]


async def end_agent(process: DaemonProcess, runner_id: str) -> None:
    """Kill a runner's agent."""
    (row,) = await process.fetch("SELECT pid FROM runners WHERE id = $1", runner_id)
    os.kill(row["pid"], signal.SIGKILL)


async def converse(process: DaemonProcess, api: MessagesApi, directory: Path) -> str:
    """A session whose agent waits for a prompt."""
    environment = PrivateHome(directory).environment(api.url)
    session = await launch(process, directory, program=light_claude, environment=environment)
    await shows(process, session, "idle")
    return session


async def launch(
    process: DaemonProcess, directory: Path, *, program: ModuleType, environment: Mapping[str, str]
) -> str:
    """A session whose agent is one of the suite's programs."""
    claude = directory / "bin" / "claude"
    claude.parent.mkdir()
    claude.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -S -m {program.__name__} "$@"\n')
    claude.chmod(claude.stat().st_mode | stat.S_IXUSR)
    session = str(uuid.uuid4())
    write_environment(
        process.home.session_environment(session),
        {"HOME": str(directory), **environment, "PATH": f"{claude.parent}:{os.environ['PATH']}"},
    )
    await process.call("create_project", name="light", path=str(directory), agent="claude")
    await process.call("launch", project="light", session_ids=[session])
    return session


async def shows(process: DaemonProcess, session: str, activity: str) -> None:
    """Wait until its agent is seen doing this."""

    async def look() -> bool:
        rows = await process.fetch("SELECT activity FROM runners WHERE session_id = $1::text::uuid", session)
        return [row["activity"] for row in rows] == [activity]

    await answer(look, what=f"an agent that is {activity}")
