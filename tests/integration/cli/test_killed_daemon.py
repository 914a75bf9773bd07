"""The daemon is killed between what it did and its answer: the command ends well, and nothing is done twice."""

from typing import Any

import pytest

from tests.support.api_front import killed_after
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

AWAY = "The daemon is not running: "


async def test_launch(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    async with killed_after(daemon.home, "launch", daemon.kill) as called:
        launched = await cli("launch", "site", "--count", "2")
    assert (launched.code, called.count("launch")) == (0, 1)
    assert launched.err.startswith(AWAY)
    await daemon.start()

    async def two() -> list[Any]:
        found = await daemon.call("list_sessions", all=True)
        return found if len(found) > 1 else []

    first, second = await answer(two, what="two sessions")
    assert {one["session_id"][:8] for one in (first, second)} == {line[:8] for line in launched.out.splitlines()[:2]}
    for one in (first, second):
        assert (await daemon.wait(one["session_id"], "running"))["generation"] == 1


@pytest.mark.parametrize(
    ("words", "method", "state", "generation"),
    [
        (("kill",), "command", "ended", 1),
        (("pause",), "command", "paused", 1),
        (("restart",), "restart", "running", 2),
    ],
)
async def test_a_command(
    daemon: DaemonProcess, cli: CommandLine, words: tuple[str, ...], method: str, state: str, generation: int
) -> None:
    await cli.done("new", "site", "--", "cat")
    (session,) = await cli.json("launch", "site")
    async with killed_after(daemon.home, method, daemon.kill):
        result = await cli(*words, session["session_id"])
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(AWAY)
    await daemon.start()

    async def settled() -> bool:
        found = await daemon.call("find_session", target=session["session_id"])
        return bool(found["state"] == state and found["generation"] == generation)

    await answer(settled, what=f"{state} in run {generation}")
    assert len(await daemon.fetch("SELECT generation FROM runners")) == generation


async def test_send(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    (session,) = await cli.json("launch", "site")
    async with killed_after(daemon.home, "send", daemon.kill):
        result = await cli("send", "site", "typed once")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"{AWAY}the text is noted")
    log = daemon.home.run_directory(f"{session['session_id']}.1") / "log"
    await daemon.start()
    await cli.done("send", "site", "and another")
    await until(lambda: log.read_text().count("and another") == 2, what="echo and output of cat")
    assert log.read_text().count("typed once") == 2, "the echo, and what cat wrote"
    assert (await daemon.call("find_session", target=session["session_id"]))["generation"] == 1


async def test_a_limit(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    async with killed_after(daemon.home, "set_quota", daemon.kill):
        result = await cli("quotas", "set", "site", "max-runners", "3", "--format", "json")
    assert result.code == 0
    assert '"limit": 3' in result.out
