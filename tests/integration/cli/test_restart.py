"""Restart, on real sessions."""

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess


async def test_agents_are_ended_and_started_again(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    launched = await cli.json("launch", "site", "--count", "2")
    first, second = (one["session_id"] for one in launched)
    before = {one["session_id"]: one["pid"] for one in await cli.json("runners")}

    assert await cli.done("restart", first[:8]) == f"{first[:8]}  running\n"
    after = {one["session_id"]: (one["generation"], one["pid"]) for one in await cli.json("runners")}
    assert after[first][0] == 2
    assert after[first][1] != before[first]
    assert after[second] == (1, before[second]), "the other one is not touched"

    restarted = await cli.json("restart", "site", second, "--yes")
    assert sorted((one["session_id"], one["generation"], one["state"]) for one in restarted) == sorted(
        [(first, 3, "running"), (second, 2, "running")]
    )
    types = [one["type"] for one in await cli.json("events", "list", "runner.#")]
    assert "runner.failed" not in types, "it counts as no crash"
    assert types.count("runner.stopped") == 3

    await cli.done("pause", first)
    assert "is paused, so it cannot be restarted. Run it again with" in await cli.refused(5, "restart", second, first)
    assert [one["generation"] for one in await cli.json("runners")] == [2], "all of them, or none"
    assert await cli.done("restart", "all", "--yes") == f"{second[:8]}  running\n"
    await cli.done("kill", "all")
    assert (await cli("restart", "all")).err == "No session is live.\n"


async def test_what_is_asked_without_a_daemon_is_done_by_the_next_one(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    (session,) = await cli.json("launch", "site")
    daemon.end()
    asked = await cli("restart", "site")
    assert (asked.code, asked.out) == (0, "")
    assert "it is noted, and takes effect when a daemon is back" in asked.err
    await daemon.start()
    await daemon.wait_for_generation(session["session_id"], 2)
