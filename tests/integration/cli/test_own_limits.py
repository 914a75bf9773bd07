"""``launch`` with limits of the session's own."""

from typing import Any

import pytest

from stratavore.errors import RemoteError
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


async def own(cli: CommandLine, session: str) -> dict[str, Any]:
    """The limits of a session."""
    shown = await cli.json("quotas", "show", session)
    return {one["name"]: one["limit"] for one in shown if one["session_id"] == session}


async def test_a_session_has_them_from_its_first_moment_and_a_repeated_launch_changes_nothing(
    daemon: DaemonProcess, cli: CommandLine
) -> None:
    await cli.done("new", "site", "--", "cat")
    (launched,) = await cli.json("launch", "site", "--detach", "--max-tokens", "0", "--max-memory", "300")
    session = launched["session_id"]
    assert launched["state"] == "limited"
    assert launched["reason"].startswith("0 of 0 tokens used today by this session; it goes on at ")
    assert await own(cli, session) == {"max_memory_mb": 300, "max_tokens_per_day": 0}
    await cli.done("quotas", "set", session, "max-tokens", "7")
    await daemon.wait(session, "running")
    await daemon.call("launch", project="site", session_ids=[session], limits={"max-tokens": 0})
    assert await own(cli, session) == {"max_memory_mb": 300, "max_tokens_per_day": 7}
    with pytest.raises(RemoteError, match="A session has one runner, so max-runners is not for sessions"):
        await daemon.call("launch", project="site", session_ids=[session], limits={"max_concurrent_runners": 1})
    refused = await cli("launch", "site", "--no-queue", "--detach", "--max-tokens", "0")
    assert "no slot was free: 0 of 0 tokens used today by this session" in refused.err
    await cli.done("kill", "all")
