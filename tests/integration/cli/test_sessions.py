"""Every command that a script runs, on real sessions."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import yaml

from stratavore.errors import EXIT_REFUSED
from tests.support.command_line import CommandLine, Result
from tests.support.daemon import DaemonProcess
from tests.support.waiting import PATIENCE_SECONDS, until

SESSION_KEYS = [
    *("session_id", "agent_session_id", "project", "agent", "state", "activity", "position", "generation"),
    *("created_at", "ended_at", "tokens_used", "cost_usd", "unpriced_tokens", "reason", "since"),
    "question",
]
RUNNER_KEYS = [
    *("runner_id", "session_id", "generation", "project", "agent", "model", "host", "status", "activity"),
    *("pid", "started_at", "tokens_used", "cost_usd", "unpriced_tokens", "memory_mb", "question"),
]
EVENT_KEYS = ["id", "type", "session_id", "project", "sequence", "time", "data"]
SERVER_KEYS = ["name", "address", "state", "pid", "detail", "ui"]
LISTS = ("projects", "sessions", "runners", "events list", "quotas show", "daemon status")


async def test_a_session_from_its_project_to_its_end(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    created = await cli.done("new", "site", "--agent", "command", "--", "cat")
    assert created == f"Created project site for {site}, running cat. Start a session: stratavore site\n"
    (project,) = await cli.json("projects")
    assert (project["name"], project["path"], project["argv"]) == ("site", str(site), ["cat"])

    launched = await cli.done("launch", "site", "--prompt", "the first words", "--detach")
    (session,) = await cli.json("sessions")
    short = session["session_id"][:8]
    assert launched == f"{short}  running\nAttach: stratavore attach {short}\n"
    assert await cli.done("send", short, "and", "some", "more") == f"Sent to {short}.\n"
    assert await cli.done("send", "site", "-", given="from a file\n") == f"Sent to {short}.\n"
    log = daemon.home.run_directory(f"{session['session_id']}.1") / "log"
    await until(lambda: log.read_text().count("from a file") == 2, what="echo and output of cat")
    wanted = ["the first words", "and some more", "from a file"]
    shown = (await cli.done("logs", "site")).splitlines()
    assert list(dict.fromkeys(line for line in shown if line in wanted)) == wanted  # the next echo may come first

    assert await cli.done("pause", "site") == f"{short}  paused\n"
    assert "is paused already. Run it again with" in await cli.refused(5, "pause", short)
    assert "is paused, so it cannot be sent text" in await cli.refused(5, "send", short, "x")
    assert await cli.done("resume", short[:6]) == f"{short}  running\n"
    assert "is running already. Attach to it with" in await cli.refused(5, "resume", "site")
    assert await cli.done("kill", f"{session['session_id']}.2") == f"{short}  ended\n"
    assert "is ended already. Take it up again with" in await cli.refused(5, "kill", short)
    assert "'site' has no live session" in await cli.refused(5, "kill", "site")
    assert await cli.json("sessions") == []
    (ended,) = await cli.json("sessions", "--all")
    assert (ended["state"], ended["generation"], ended["reason"]) == ("ended", 2, "ended on request")
    assert wanted[0] in await cli.done("logs", f"{session['session_id']}.1")
    (resumed,) = yaml.safe_load(await cli.done("resume", short, "--format", "yaml"))
    assert (resumed["state"], resumed["generation"]) == ("running", 3)
    assert [one["state"] for one in await cli.json("kill", "all", "--force")] == ["ended"]
    assert (await cli("kill", "all")).err == "No session is live.\n"


async def test_what_programs_read(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    launched = await cli.json("launch", "site", "--count", "2")
    assert [list(one) for one in launched] == [SESSION_KEYS] * 2
    runners = await cli.json("runners", "--project", "site")
    assert [list(one) for one in runners] == [RUNNER_KEYS] * 2
    assert {one["runner_id"] for one in runners} == {f"{one['session_id']}.1" for one in launched}
    assert {(one["host"], one["status"], one["agent"]) for one in runners} == {(daemon.host, "running", "command")}
    events = await cli.json("events", "list", "session.created.site")
    assert [list(one) for one in events] == [EVENT_KEYS] * 2
    assert [one["sequence"] for one in events] == [1, 1]
    status = await cli.json("status")
    assert (status["projects"], status["sessions"], len(status["live"])) == (1, {"running": 2}, 2)
    assert list(status["live"][0]) == SESSION_KEYS
    found = await cli.json("daemon", "status")
    assert list(found) == ["pid", "host", "version", "uptime_s", "problem", "servers"]
    assert (found["pid"], found["host"]) == (daemon.pid, daemon.host)
    assert [list(one) for one in found["servers"]] == [SERVER_KEYS] * len(found["servers"])
    assert [one["name"] for one in found["servers"]] == ["temporal", "postgres", "rabbitmq", "metrics"]
    quotas = await cli.json("quotas", "set", "site", "max-runners", "5")
    assert [(one["scope"], one["limit"]) for one in quotas] == [("global", None)] * 3 + [
        ("project", limit) for limit in (5, None, None)
    ]
    for words in (
        ["projects"],
        ["sessions"],
        ["runners"],
        ["events", "list", "session.created.site"],  # of the others, one may come between the two looks
        ["quotas", "show"],
        ["daemon", "status"],
    ):
        as_yaml = yaml.safe_load(await cli.done(*words, "--format", "yaml"))
        assert shape(as_yaml) == shape(await cli.json(*words)), words


async def test_launches_wait_in_line_for_a_slot(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("quotas", "set", "site", "max-runners", "1")
    lines = (await cli.done("launch", "site", "-n", "3")).splitlines()
    assert sorted(line.split(maxsplit=1)[1] for line in lines[:3]) == ["queued #1", "queued #2", "running"]
    first = next(line.split()[0] for line in lines if line.endswith("running"))
    second = next(line.split()[0] for line in lines if line.endswith("#1"))
    assert "2 sessions in line for a slot" in await cli.done("status")
    await cli.done("kill", first)
    (session,) = [one for one in await cli.json("sessions") if one["session_id"].startswith(second)]
    await daemon.wait(session["session_id"], "running")
    assert "max-runners     1     1        1" in await cli.done("quotas", "show", "site")
    assert await cli.done("quotas", "set", "site", "max-runners", "none") != ""
    assert (await cli("launch", "site", "--no-wait")).out.split()[1] == "queued"
    await until_running(cli, 3)
    assert len((await cli.done("kill", "all")).splitlines()) == 3


async def test_who_does_not_want_to_wait_in_line_is_refused(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    await cli.done("quotas", "set", "site", "max-runners", "2")
    some = await cli("launch", "site", "-n", "3", "--no-queue")
    assert some.code == EXIT_REFUSED
    assert sorted(line.split(maxsplit=1)[1] for line in some.out.splitlines()[:3]) == ["ended", "running", "running"]
    short = next(line.split()[0] for line in some.out.splitlines() if line.endswith("ended"))
    assert some.err == (
        f"Error: The session {short} was not started: no slot was free: 2 of 2 runners run in its project. "
        "Without --no-queue it waits in line; see the limits with: stratavore quotas show.\n"
    )
    assert len(await cli.json("sessions")) == 2
    assert "refused: 2 of 2 runners run in its project" in await cli.done("sessions", "show", short)
    asked = await cli("launch", "site", "--no-queue", "--print", "Hello")
    assert asked.code != 0
    assert "no slot was free: 2 of 2 runners run in its project" in asked.err
    await cli.done("kill", "all")


async def test_a_project_opens_its_session_from_a_script_too(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    opened = await cli.done("site")
    short = opened.split()[0]
    assert opened == f"{short}  running\n"
    assert await cli.done("site") == opened
    await cli.done("pause", "site")
    assert await cli.done("site") == opened
    await cli.done("kill", "site")
    assert await cli.done("open", "site") == opened
    (session,) = await cli.json("sessions")
    assert session["generation"] == 3


async def test_logs_are_followed_from_runner_to_runner(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "sh", "-c", "echo run $STRATAVORE_RUNNER_ID; cat")
    await cli.done("launch", "site", "--detach")
    following = cli.start("logs", "site", "--follow")
    assert following.stdout is not None
    try:
        first = await asyncio.wait_for(asyncio.to_thread(following.stdout.readline), PATIENCE_SECONDS)
        await cli.done("pause", "site")
        await cli.done("resume", "site")
        await cli.done("send", "site", "the last words")
        (runner,) = await cli.json("runners")
        log = daemon.home.run_directory(runner["runner_id"]) / "log"
        await until(lambda: log.read_text().count("the last words") == 2)
        await cli.done("kill", "site")
        out, err = following.communicate(timeout=PATIENCE_SECONDS)
    finally:
        following.kill()
    assert (first + out).count("run ") == 2
    assert out.count("the last words") == 2
    assert err == f"The session {runner['session_id'][:8]} has ended.\n"
    assert following.returncode == 0


async def test_a_program_that_dies_at_once_is_shown_with_its_last_lines(
    daemon: DaemonProcess, cli: CommandLine
) -> None:
    await cli.done("new", "site", "--", "sh", "-c", "echo oh no; exit 3")
    failed = await until_seen(cli, "ended at once", "launch", "site")
    assert failed.code == 6
    first, *rest = failed.err.splitlines()
    assert first.startswith(f"Error: The program of session {failed.out.split()[0]} ended at once (it ended with")
    assert first.endswith("Its last lines:")
    assert rest == ["  oh no"]
    ended = await until_seen(cli, "has ended by itself", "launch", "site", "--", "true")
    assert (ended.code, ended.out.split()[0] in ended.err) == (0, True)


async def test_unknown_and_ambiguous_targets(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    ids = [f"0badcafe-0000-4000-8000-00000000000{n}" for n in range(2)]
    await daemon.call("launch", project="site", session_ids=ids)
    for session in ids:
        await daemon.wait(session, "running")
    for words in (("pause",), ("resume",), ("kill",), ("logs",), ("send", "--", "text")):
        command = (words[0], "0badcafe", *words[1:])
        assert await cli.refused(3, *command) == f"'0badcafe' could mean {ids[0]} or {ids[1]}. Type more of the id."
        said = await cli.refused(3, words[0], str(uuid.uuid4()), *words[1:])
        assert "it is no session, runner or project here. See: stratavore sessions." in said
    assert "Nothing is called" in await cli.refused(3, "logs", f"{ids[0]}.7")
    assert (await cli.done("kill", ids[1])).split() == ["0badcafe", "ended"]


async def until_seen(cli: CommandLine, text: str, *words: str) -> Result:
    """Run a command until it says so: on a busy machine a launch may be over before its program is."""
    for _ in range(20):
        if text in (result := await cli(*words)).err:
            return result
    raise AssertionError(result)


def shape(value: Any) -> Any:
    """The keys of a value, through its lists."""
    if isinstance(value, list):
        return [shape(one) for one in value]
    return {key: shape(one) for key, one in value.items()} if isinstance(value, dict) else None


async def until_running(cli: CommandLine, count: int) -> None:
    """Wait for so many runners."""
    for _ in range(60):
        if len([one for one in await cli.json("runners") if one["status"] == "running"]) == count:
            return
    raise AssertionError(await cli.done("sessions"))
