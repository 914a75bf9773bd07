"""The whole story of a session, from a real one."""

import os
import signal

from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until


async def test_what_became_of_a_session_and_of_each_of_its_runners(daemon: DaemonProcess, cli: CommandLine) -> None:
    await cli.done("new", "site", "--", "sh", "-c", "echo it began; cat")
    (session,) = await cli.json("launch", "site")
    ran = await cli.json("runners", "show", "site")
    assert (ran["generation"], ran["status"], ran["host"], ran["exit_kind"]) == (1, "running", daemon.host, None)
    assert ran["directory"] == str(daemon.home.run_directory(ran["runner_id"]))
    log = daemon.home.run_directory(ran["runner_id"]) / "log"
    await until(lambda: log.exists() and "it began" in log.read_text(), what="the agent's first words")
    os.kill(ran["pid"], signal.SIGKILL)
    await daemon.wait_for_generation(session["session_id"], 2)
    await cli.done("kill", "site")

    failed = await cli.json("runners", "show", f"{session['session_id'][:8]}.1")
    assert (failed["status"], failed["exit_kind"], failed["exit_code"]) == ("failed", "crashed", 137)
    assert "it began" in failed["last_lines"]
    shown = await cli.json("sessions", "show", "site")
    assert [one["what"] for one in shown["story"]] == ["created", "started", "failed", "started", "stopped", "ended"]
    assert [one["generation"] for one in shown["story"]] == [None, 1, 1, 2, 2, None]
    assert shown["story"][3]["after_s"] >= 0
    assert [one["status"] for one in shown["runners"]] == ["failed", "terminated"]
    story = (await cli.done("sessions", "show", "site")).split("\n\n")[1]
    assert story.splitlines()[0].split()[:4] == ["WHEN", "RUNNER", "WHAT", "AFTER"]
    assert "SIGKILL" in story.splitlines()[3]
