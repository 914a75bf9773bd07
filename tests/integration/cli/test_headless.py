"""``launch --print`` on real sessions: the answer, the exit code, and what dies meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

from tests.support.command_line import SECONDS, CommandLine, Result
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until

ECHO = "cat; echo done"
SLOW = 'read -r question; echo "$question"; touch begun; until test -e go; do sleep 0.05; done; echo end'


async def test_the_answer_is_printed_and_the_exit_code_kept(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "sh", "-c", ECHO)
    assert await cli("launch", "site", "--print", "what is it?") == Result(0, "what is it?done\n", "")
    assert (await cli("launch", "site", "--print", "-", given="two\nlines\n")).out == "two\nlines\ndone\n"
    failed = await cli("launch", "site", "--print", "x", "--", "sh", "-c", "cat; echo oh >&2; exit 3")
    assert (failed.code, failed.out) == (3, "x")
    assert "  oh\n" in failed.err
    assert "has ended: it ended with exit code 3." in failed.err
    last = (await cli.json("sessions", "--all"))[-1]
    assert (last["state"], last["generation"], last["reason"]) == ("ended", 1, "it ended with exit code 3")
    (runner,) = await daemon.call("session_runners", session_id=last["session_id"])
    assert (runner["status"], runner["exit_code"]) == ("failed", 3)
    assert (await cli("logs", last["session_id"])).out == "x"


async def test_a_program_reads_the_result(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "sh", "-c", "cat; exit 4")
    asked = await cli("launch", "site", "--print", "ünï", "--format", "json")
    assert asked.code == 4
    found = json.loads(asked.out)
    (session,) = await cli.json("sessions", "--all")
    assert found == {
        "result": "ünï",
        "session_id": session["session_id"],
        "exit_code": 4,
        "state": "ended",
        "reason": "it ended with exit code 4",
        "tokens_used": 0,
        "cost_usd": None,
    }


async def test_it_goes_on_while_the_daemon_is_dead(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    await cli.done("new", "site", "--", "sh", "-c", SLOW)
    asking = cli.start("launch", "site", "--print", "first\n")
    await until((site / "begun").exists, what="the agent's work")
    daemon.kill()
    (site / "go").touch()
    assert asking.stdout is not None
    assert await asyncio.to_thread(asking.stdout.readline) == "first\n"
    assert await asyncio.to_thread(asking.stdout.readline) == "end\n"
    await daemon.start()
    assert await _ended(asking) == (0, "")


async def test_a_killed_agent_runs_again_and_the_answer_goes_on(
    daemon: DaemonProcess, cli: CommandLine, site: Path
) -> None:
    await cli.done("new", "site", "--", "sh", "-c", SLOW)
    asking = cli.start("launch", "site", "--print", "first\n", "--format", "json")
    await until((site / "begun").exists, what="the agent's work")
    (runner,) = await cli.json("runners")
    (site / "begun").unlink()
    os.kill(runner["pid"], signal.SIGKILL)
    await until((site / "begun").exists, what="the next runner's work")
    (site / "go").touch()
    out, err = await asyncio.to_thread(asking.communicate, None, SECONDS)
    found = json.loads(out)
    assert (asking.returncode, found["result"], found["exit_code"]) == (0, "first\nend\n", 0)
    assert "died and runs again (run 2)" in err
    (session,) = await cli.json("sessions", "--all")
    assert (session["state"], session["generation"]) == ("ended", 2)


async def test_an_interrupt_ends_the_session(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    await cli.done("new", "site", "--", "sh", "-c", SLOW)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        (site / "begun").unlink(missing_ok=True)
        asking = cli.start("launch", "site", "--print", "first\n")
        await until((site / "begun").exists, what="the agent's work")
        asking.send_signal(number)
        out, err = await asyncio.to_thread(asking.communicate, None, SECONDS)
        assert asking.returncode == code, (out, err)
        assert "Ending the session" in err
        (session,) = [one for one in await cli.json("sessions", "--all") if one["session_id"][:8] in err]
        assert (session["state"], session["reason"]) == ("ended", "ended on request")


async def test_one_without_a_terminal_is_told_from_others(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    await cli.done("new", "site", "--", "sh", "-c", SLOW)
    short = (await cli.done("launch", "site", "--print", "first\n", "--detach")).split()[0]
    await until((site / "begun").exists, what="the agent's work")
    assert "has no terminal" in await cli.refused(2, "send", short, "more")
    assert len(await cli.json("runners")) == 1
    opened = (await cli.done("site")).split()[0]
    assert opened != short, "a project is opened in a session that can be shown"
    (site / "go").touch()
    session_id = next(
        one["session_id"] for one in await cli.json("sessions", "--all") if one["session_id"][:8] == short
    )
    await daemon.wait(session_id, "ended")
    assert (await cli("logs", short)).out == "first\nend\n"
    assert (await cli("logs", short, "--follow")).out == "first\nend\n"
    await cli.done("kill", "all")


async def test_it_waits_in_line(daemon: DaemonProcess, cli: CommandLine, site: Path) -> None:
    await cli.done("new", "site", "--", "sh", "-c", ECHO)
    await cli.done("quotas", "set", "site", "max-runners", "1")
    holder = (await cli.done("launch", "site", "--detach", "--", "cat")).split()[0]
    asking = cli.start("launch", "site", "--print", "x\n")
    assert asking.stderr is not None
    assert "is queued, position 1." in await asyncio.to_thread(asking.stderr.readline)
    await cli.done("kill", holder)
    out, _ = await asyncio.to_thread(asking.communicate, None, SECONDS)
    assert (asking.returncode, out) == (0, "x\ndone\n")


async def test_what_does_not_go_together_is_refused(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "cat")
    assert "leave --prompt out" in await cli.refused(2, "launch", "site", "--print", "x", "--prompt", "y")
    assert "leave --count out" in await cli.refused(2, "launch", "site", "--print", "x", "-n", "2")
    assert "There is nothing to ask" in await cli.refused(2, "launch", "site", "--print", " ")
    for wrong, told in (("a\0b", "NUL character"), ("x" * 1_000_001, "has 1000001 bytes")):
        asked = await cli("launch", "site", "--print", "-", given=wrong)
        assert (asked.code, asked.out) == (2, "")
        assert told in asked.err
    assert "use it with --print" in await cli.refused(2, "launch", "site", "--format", "jsonl")
    assert await cli.json("sessions", "--all") == []


async def _ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code, and what of the output nobody has read."""
    out, _ = await asyncio.to_thread(process.communicate, None, SECONDS)
    return process.returncode, out
