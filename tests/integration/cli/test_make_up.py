"""``make up`` where its project is there already, in a Stratavore that is up; and ``make down`` of one that is not."""

import asyncio

import pytest

from setup import down, up
from setup.progress import SetupFailed
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


async def test_what_it_brought_up_is_ended_though_the_daemon_has_stopped(
    daemon: DaemonProcess, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in daemon.environment.items():
        monkeypatch.setenv(name, value)
    await cli.done("new", up.PROJECT, "--", "cat")
    await cli.done("new", "own", "--path", str(daemon.home.root), "--", "cat")
    for project in (up.PROJECT, "own"):
        await cli.done("launch", project, "--detach")
    await cli.done("daemon", "stop")
    with pytest.raises(SetupFailed, match="Something still runs"):  # nobody is there to be asked
        await asyncio.to_thread(down.take_down)
    assert [one["project"] for one in await cli.json("sessions")] == ["own"]
    await cli.done("kill", "own")
    await cli.done("daemon", "stop")
    await asyncio.to_thread(down.take_down)
