"""``stratavore daemon``: a whole Stratavore, with servers of its own on ports that disturb nobody."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli.background import daemon_lives
from stratavore.embedded.process import Process
from stratavore.paths import Home
from tests.support import guardian, servers
from tests.support.command_line import CommandLine
from tests.support.person import Person
from tests.support.waiting import until

PORTS = ("TEMPORAL__PORT", "TEMPORAL__UI_PORT", "POSTGRES__PORT", "METRICS__PORT")


def of(home: Home) -> CommandLine:
    """The command line of a state directory that starts its own servers, all but the slow RabbitMQ."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ports = {f"STRATAVORE_{name}": "0" for name in PORTS}
    settings = {
        "STRATAVORE_HOME": str(home.root),
        "STRATAVORE_CONFIG": os.devnull,
        "STRATAVORE_RABBITMQ__ENABLED": "false",
    }
    return CommandLine(kept | ports | settings, home.root)


@pytest.fixture
async def alone(home: Home) -> AsyncIterator[CommandLine]:
    """The command line of a state directory where nothing was started."""
    yield of(home)
    await ended(home)


@pytest.fixture
async def another(homes: Path) -> AsyncIterator[CommandLine]:
    """The same in another state directory."""
    other = servers.new_home(homes)
    yield of(other)
    await ended(other)
    await guardian.clean(other)


async def ended(home: Home) -> None:
    """End the daemon of a state directory, if a test left one."""
    if daemon_lives(home):
        os.kill(int(home.daemon_lock.read_text()), signal.SIGKILL)
        await until(lambda: not daemon_lives(home), what="the daemon's end")


def pids(status: dict[str, Any]) -> dict[str, int]:
    """The processes of the servers that the daemon started."""
    return {one["name"]: one["pid"] for one in status["servers"] if one["name"] in ("temporal", "postgres")}


async def test_servers_outlive_the_daemon_and_stop_when_everything_does(alone: CommandLine, home: Home) -> None:
    started = await alone("daemon", "start")
    first = await alone.json("daemon", "status")
    assert started.out.startswith(f"The daemon runs (process {first['pid']}). Workflows are shown at http://127.0.0.1:")
    assert (await alone("daemon", "start")).err == f"The daemon runs already (process {first['pid']}).\n"
    assert "psql " in await alone.done("daemon", "status")
    await alone.done("new", "site", "--path", str(home.root), "--", "cat")
    await alone.done("launch", "site")
    (before,) = await alone.json("runners")

    assert (await alone("daemon", "stop")).err == "The daemon has stopped; sessions and servers go on.\n"
    assert await alone.refused(4, "daemon", "status") == (
        "The daemon does not answer. Start it with: stratavore daemon start."
    )
    assert Process.of(before["pid"]) is not None
    await alone.done("daemon", "start")
    second = await alone.json("daemon", "status")
    assert pids(second) == pids(first)
    assert second["pid"] != first["pid"]
    (after,) = await alone.json("runners")
    assert (after["runner_id"], after["pid"]) == (before["runner_id"], before["pid"])

    said = await alone.refused(2, "daemon", "stop", "--all")
    assert said == "1 session is live. To end them without being asked: stratavore daemon stop --all --force."
    assert (await alone.json("daemon", "status"))["pid"] == second["pid"]
    assert (await alone("daemon", "stop", "--all", "--force")).err == "Everything has stopped.\n"
    gone = [*pids(second).values(), second["pid"], before["pid"]]
    assert [pid for pid in gone if Process.of(pid)] == []
    assert (await alone("daemon", "stop", "--all")).err == "Nothing is running.\n"


async def test_a_person_is_asked_before_everything_stops(alone: CommandLine, home: Home) -> None:
    await alone.done("daemon", "start")
    await alone.done("new", "site", "--path", str(home.root), "--", "cat")
    await alone.done("launch", "site", "--count", "2")
    pid = (await alone.json("daemon", "status"))["pid"]
    os.kill(pid, signal.SIGKILL)  # sessions are ended in order all the same
    async with Person.sitting(alone.environment, home.root) as person:
        person.stratavore("daemon", "stop", "--all")
        await person.sees("2 sessions are live. End them, and stop everything? [y/N]:")
        person.types("n")
        await person.sees("Nothing was stopped.")
        await person.is_back()
        person.stratavore("daemon", "stop", "--all")
        await until(lambda: person.screen.count("[y/N]:") == 2, what="the question")
        person.types("y")
        await person.sees("Everything has stopped.")
    assert not daemon_lives(home)


async def test_two_on_one_machine_do_not_meet(alone: CommandLine, another: CommandLine, home: Home) -> None:
    both = (alone, another)
    await asyncio.gather(*(one.done("daemon", "start") for one in both))
    first, second = [await one.json("daemon", "status") for one in both]
    addresses = [{one["address"] for one in status["servers"] if one["address"]} for status in (first, second)]
    assert not addresses[0] & addresses[1]
    for one in both:
        await one.done("new", "site", "--path", str(home.root), "--", "cat")
        await one.done("launch", "site")
    assert (await alone("daemon", "stop", "--all", "--force")).code == 0
    (runner,) = await another.json("runners")
    assert Process.of(runner["pid"]) is not None
    await another.done("daemon", "stop", "--all", "--force")


async def test_many_start_one_daemon(alone: CommandLine) -> None:
    results = await asyncio.gather(*(alone("daemon", "start") for _ in range(3)))
    assert [one.code for one in results] == [0, 0, 0], results
    assert sum("runs already" in one.err for one in results) == 2
    await alone.done("daemon", "stop", "--all")


async def test_a_daemon_that_cannot_start_says_why(alone: CommandLine, home: Home) -> None:
    broken = alone.with_settings(STRATAVORE_TEMPORAL__BINARY=str(home.root / "nowhere"))
    said = await broken.refused(4, "daemon", "start")
    assert str(home.root / "nowhere") in said
    assert not daemon_lives(home)
    assert (await alone.refused(4, "status")).endswith("embedded servers are started with: stratavore daemon start.")
    await alone.done("daemon", "start")
    await alone.done("daemon", "stop", "--all")
