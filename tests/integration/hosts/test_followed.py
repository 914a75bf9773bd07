"""Following what an agent writes, when its session goes to another host."""

import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command_line import CommandLine
from tests.support.hosts import Hosts
from tests.support.waiting import until


class Followed(NamedTuple):
    """A session on the host ``here``, and a command that follows it there; the other host is ``there``."""

    session: str
    cli: CommandLine
    command: "subprocess.Popen[str]"
    heard: Path

    async def hears(self, generation: int) -> None:
        """Wait until the command has written what this runner said."""
        await until(lambda: f"run {self.session}.{generation}\n" in self.heard.read_text(), what="the agent's words")


@pytest.fixture
async def followed(hosts: Hosts, tmp_path: Path) -> AsyncIterator[Followed]:
    here = await hosts.start("here")
    await hosts.start("there")
    cli = CommandLine(here.environment, hosts.shared)
    await cli.done("new", "site", "--", "sh", "-c", "echo run $STRATAVORE_RUNNER_ID; exec cat")
    (launched,) = await cli.json("launch", "site", "--host", "here", "--detach")
    await here.wait(launched["session_id"], "running")
    heard = tmp_path / "heard"
    with heard.open("w") as out:
        made = Followed(launched["session_id"], cli, cli.start("logs", "site", "--follow", out=out.fileno()), heard)
    try:
        await made.hears(1)
        yield made
    finally:
        made.command.kill()


async def test_it_is_told_where_the_session_went(followed: Followed) -> None:
    await followed.cli.done("move", "site", "there")
    _, said = followed.command.communicate(timeout=60)
    short = followed.session[:8]
    assert (followed.command.returncode, said) == (
        2,
        f"Error: The session {short} runs on there, and this is here; use: ssh -t there stratavore logs {short}.\n",
    )
    assert followed.heard.read_text() == f"run {followed.session}.1\n"
    assert await followed.cli.refused(2, "logs", "site", "--follow") == said.removeprefix("Error: ").rstrip("\n")


async def test_a_session_that_came_back_is_followed_on(followed: Followed) -> None:
    followed.command.send_signal(signal.SIGSTOP)  # it looks again when the session is back
    await followed.cli.done("move", "site", "there")
    await followed.cli.done("move", "site", "here")
    followed.command.send_signal(signal.SIGCONT)
    await followed.hears(3)
    await followed.cli.done("kill", "site")
    _, said = followed.command.communicate(timeout=60)
    assert (followed.command.returncode, said) == (0, f"The session {followed.session[:8]} has ended.\n")
