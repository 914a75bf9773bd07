"""No daemon, or one that says nothing: what is asked goes straight to Temporal and waits there."""

import asyncio
import os
import signal
from typing import Any

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until

AWAY = "The daemon is not running: {}. Start it with: stratavore daemon start\n"
SILENT = "The daemon does not answer: {}. See: stratavore daemon status\n"
QUEUED = "it is queued, and starts when a daemon is back"
NOTED = "it is noted, and takes effect when a daemon is back"
RECORDED = "this is what is recorded"


async def four_sessions(daemon: DaemonProcess, cli: CommandLine) -> list[str]:
    """Sessions of a project: three that run, and one that is paused."""
    await cli.done("new", "site", "--", "cat")
    sessions = [one["session_id"] for one in await cli.json("launch", "site", "--count", "4")]
    await cli.done("pause", sessions[3])
    return sessions


async def all_of(cli: CommandLine, count: int) -> list[dict[str, Any]]:
    """The live sessions, once there are so many."""
    for _ in range(60):
        if len(found := await cli.json("sessions")) == count:
            return list(found)
    raise AssertionError(found)


async def test_what_is_asked_of_a_dead_daemon_happens_when_one_is_back(daemon: DaemonProcess, cli: CommandLine) -> None:
    killed, paused, typed, resumed = await four_sessions(daemon, cli)
    daemon.kill()

    launched = await cli("launch", "site")
    short = launched.out.split()[0]
    assert launched == (0, f"{short}  queued\nAttach: stratavore attach {short}\n", AWAY.format(QUEUED))
    assert await cli("kill", killed) == (0, "", AWAY.format(NOTED))
    assert await cli("pause", paused) == (0, "", AWAY.format(NOTED))
    assert await cli("resume", resumed) == (0, "", AWAY.format(NOTED))
    said = (await cli("send", typed, "written down")).err
    assert said == AWAY.format("the text is noted, and typed when a daemon is back")
    listed = await cli("sessions", "--format", "json")
    assert listed.err == AWAY.format(RECORDED)
    assert listed.out.count('"state": "running"') == 3
    assert "cat" in (await cli("new", "second", "--", "cat")).out

    await daemon.start()
    await daemon.wait(killed, "ended")
    await daemon.wait(paused, "paused")
    assert (await daemon.wait(resumed, "running"))["generation"] == 2
    log = daemon.home.run_directory(f"{typed}.1") / "log"
    await until(lambda: log.read_text().count("written down") == 2, what="echo and output of cat")
    (newest,) = [one for one in await all_of(cli, 4) if one["session_id"].startswith(short)]
    await daemon.wait(newest["session_id"], "running")


async def test_a_text_that_was_noted_is_typed_though_its_agent_died_as_well(
    daemon: DaemonProcess, cli: CommandLine
) -> None:
    await cli.done("new", "site", "--", "cat")
    (session,) = [one["session_id"] for one in await cli.json("launch", "site")]
    await daemon.wait(session, "running")
    (runner,) = await daemon.call("session_runners", session_id=session)
    daemon.kill()
    os.kill(runner["pid"], signal.SIGKILL)
    assert (await cli("send", session, "written down")).err == AWAY.format(
        "the text is noted, and typed when a daemon is back"
    )
    await daemon.start()
    assert (await daemon.wait(session, "running", generation=2))["generation"] == 2
    log = daemon.home.run_directory(f"{session}.2") / "log"
    await until(lambda: log.exists() and log.read_text().count("written down") == 2, what="echo and output of cat")


async def test_a_project_is_opened_without_a_daemon(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    daemon.kill()
    opened = await cli("site")
    assert (opened.code, opened.err) == (0, AWAY.format(QUEUED))
    assert opened.out.split()[1] == "queued"
    await daemon.start()
    (session,) = await all_of(cli, 1)
    assert session["session_id"].startswith(opened.out.split()[0])
    assert (await cli.done("site")).split() == [opened.out.split()[0], "running"]
    assert len(await cli.json("sessions")) == 1


async def test_a_daemon_that_says_nothing(daemon: DaemonProcess, cli: CommandLine) -> None:
    killed, *_ = await four_sessions(daemon, cli)
    cli = cli.as_installed()
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        launched, ended, *refused = await asyncio.gather(
            cli("launch", "site"),
            cli("kill", killed),
            cli.refused(4, "daemon", "status"),
            cli.refused(4, "daemon", "start"),
            cli.refused(4, "events", "subscribe"),
        )
        assert launched.err == SILENT.format(QUEUED)
        assert ended == (0, "", SILENT.format(NOTED))
        sentence = f"The daemon (process {daemon.pid}) lives but does not answer. Wait, or end it with: kill -9 "
        assert all(one.startswith(sentence) for one in refused)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    await daemon.wait(killed, "ended")
    (newest,) = [one for one in await all_of(cli, 4) if one["session_id"].startswith(launched.out.split()[0])]
    await daemon.wait(newest["session_id"], "running")


async def test_what_only_a_daemon_can_do(daemon_process: DaemonProcess, cli: CommandLine) -> None:
    sentence = "The daemon does not answer. Start it with: stratavore daemon start."
    for words in (("daemon", "status"), ("events", "subscribe"), ("status",), ("launch", "site"), ("kill", "all")):
        assert await cli.refused(4, *words) == sentence
    assert await cli("daemon", "stop") == (0, "", "No daemon is running.\n")
    assert await cli("daemon", "stop", "--all") == (0, "", "Nothing is running.\n")
    # A word that is nearly a command is one, though nobody can be asked.
    assert "did you mean 'status'?" in await cli.refused(3, "statsu")


async def test_a_daemon_that_only_starts_can_be_stopped(daemon_process: DaemonProcess, cli: CommandLine) -> None:
    daemon = daemon_process
    daemon.spawn(settings={"STRATAVORE_POSTGRES__DSN": "postgresql://nobody@127.0.0.1:1/nothing"})
    await until(lambda: "waiting: Postgres cannot be reached" in daemon.log.read_text())
    assert (await cli("daemon", "stop")).err == "The daemon has stopped; sessions and servers go on.\n"
    assert daemon.end() == 0, "it waited until it gave up by itself"
