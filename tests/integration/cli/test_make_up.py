"""``make up`` where its project is there already, in a Stratavore that is up."""

import asyncio

import pytest

from setup import up
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


async def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """The session that it shows at its end."""
    await asyncio.to_thread(up.bring_up)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("  session "))
    return line.removeprefix("  session ").strip()


async def test_it_shows_the_session_that_it_brought_up(
    daemon: DaemonProcess, cli: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in daemon.environment.items():
        monkeypatch.setenv(name, value)
    await cli.done("new", up.PROJECT, "--", "cat")
    first = (await shown(capsys)).split()[0]
    (second,) = await cli.json("launch", up.PROJECT)
    assert await shown(capsys) == f"{second['session_id'][:8]} of project hello, running"
    await cli.done("pause", second["session_id"])
    assert await shown(capsys) == f"{first} of project hello, running", "though the other one is newer"
