"""``launch --print`` with the real Claude Code: its answer, exit code, result and tokens, whatever dies."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stratavore.runtime.rundir import RunDirectory
from tests.claude_code.messages import Asked, Failure, Gate, Reply, Tool, Usage, say
from tests.claude_code.messages_api import MessagesApi, Script, serve
from tests.claude_code.program import KEY, PrivateHome
from tests.support.command_line import SECONDS, CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

LOOK = Tool("Bash", {"command": "echo seen", "description": "Look"})


@dataclass
class Asking:
    """A person's command line, with a project for Claude Code."""

    cli: CommandLine
    user: PrivateHome
    api: MessagesApi
    daemon: DaemonProcess

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Ask, and do not wait."""
        return self.cli.start("launch", "site", "--print", "please do it", *words)

    def written(self) -> str:
        """All that the program has written of its conversations."""
        return "".join(path.read_text() for path in self.user.transcripts.rglob("*.jsonl"))

    async def runner(self, generation: int = 1) -> dict[str, Any]:
        """The runner of that number, once it runs."""

        async def look() -> Any:
            found = await self.daemon.call("list_runners", all=True)
            return next((one for one in found if one["pid"] and one["generation"] == generation), None)

        return dict(await answer(look, 60, what=f"run {generation}"))


@asynccontextmanager
async def asking(daemon: DaemonProcess, script: Script | Iterable[Reply | Failure]) -> AsyncIterator[Asking]:
    """A project in a directory of its own, and the answers that the API gives."""
    site = daemon.home.root / "site"
    site.mkdir()
    user = PrivateHome(daemon.home.root / "user")
    user.create(site)
    async with serve(script) as api:
        cli = CommandLine(daemon.environment | user.environment(api.url), site)
        words = ("--agent", "claude", "--permission-mode", "acceptEdits")
        await cli.done("new", "site", *words, "--", "--allowedTools", "Bash")
        yield Asking(cli, user, api, daemon)


async def test_the_answer_the_result_and_the_tokens(daemon: DaemonProcess) -> None:
    replies = [
        say("First I look.", LOOK, usage=Usage(input=100, output=20, cache_read=7)),
        say("It is blue.", usage=Usage(input=30, output=4)),
    ]
    async with asking(daemon, [*replies, say("Short.")]) as person:
        result = await person.cli("launch", "site", "--print", "-", given="which colour?\nsay it")
        assert (result.code, result.out, result.err) == (0, "First I look.\nIt is blue.\n", "")
        assert "which colour?\nsay it" in person.api.asked()[0].texts
        asked = await person.cli("launch", "site", "--print", "again", "--format", "json")
        found = json.loads(asked.out)
        assert (asked.code, found["result"], found["type"], found["exit_code"]) == (0, "Short.", "result", 0)
        first, second = await person.cli.json("sessions", "--all")
        assert found["session_id"] == second["session_id"]
        assert (found["tokens_used"], second["tokens_used"]) == (30, 30)
        assert (first["state"], first["tokens_used"]) == ("ended", 161)
        lines = (await person.cli.done("launch", "site", "--print", "once more", "--format", "jsonl")).splitlines()
        assert json.loads(lines[0])["type"] == "system"
        assert json.loads(lines[-1])["result"] == "Short."


async def test_a_reply_that_was_cut_off_is_made_anew_and_nothing_is_printed_twice(daemon: DaemonProcess) -> None:
    gate = Gate(after=2)
    cut = say("never to be seen " * 20, gate=gate)
    async with asking(daemon, [say("First I look.", LOOK), cut, say("It is blue.")]) as person:
        process = person.start()
        await asyncio.wait_for(gate.reached.wait(), 60)
        # The program writes its rows a moment after it has acted on them.
        await until(lambda: "tool_result" in person.written(), what="the row of the tool's result")
        os.kill((await person.runner())["pid"], signal.SIGKILL)
        out, err = await asyncio.to_thread(process.communicate, None, SECONDS)
        assert (process.returncode, out) == (0, "First I look.\nIt is blue.\n"), err
        assert "died and runs again (run 2)" in err
        last = person.api.asked()[-1]
        assert [one.strip() for one in last.texts].count("please do it") == 1
        assert "seen" in json.dumps(last.messages), "the result of the tool is in the conversation"
        (session,) = await person.cli.json("sessions", "--all")
        assert (session["state"], session["generation"], session["tokens_used"]) == ("ended", 2, 60)


async def test_one_that_dies_before_it_has_asked_is_asked_again(daemon: DaemonProcess) -> None:
    gate = Gate()

    def reply(_: Asked) -> Reply:
        return say("It is blue.") if gate.opened.is_set() else say("never to be seen", gate=gate)

    async with asking(daemon, reply) as person:
        process = person.start("--format", "json")
        os.kill((await person.runner())["pid"], signal.SIGKILL)
        gate.open()
        out, err = await asyncio.to_thread(process.communicate, None, SECONDS)
        assert process.returncode == 0, err
        assert json.loads(out)["result"] == "It is blue."


async def test_an_api_that_refuses_is_a_failure_and_no_crash(daemon: DaemonProcess) -> None:
    refused = Failure(400, "invalid_request_error", "This is not how one asks.")
    async with asking(daemon, [refused]) as person:
        result = await person.cli("launch", "site", "--print", "x")
        assert result.code == 1, result
        assert "This is not how one asks." in result.out + result.err
        (session,) = await person.cli.json("sessions", "--all")
        assert (session["state"], session["generation"]) == ("ended", 1)


async def test_what_the_projects_file_says_reaches_the_agent(daemon: DaemonProcess) -> None:
    async with asking(daemon, [say("It is blue.")]) as person:
        site = person.cli.directory
        (site / ".stratavore.yaml").write_text(
            "model: claude-haiku-4-5\nenvironment:\n  ANTHROPIC_API_KEY: {from: WORK_KEY}\n"
        )
        missing = await person.cli.refused(2, "launch", "site", "--print", "x")
        assert "takes ANTHROPIC_API_KEY from the variable WORK_KEY, which is not set here" in missing
        cli = person.cli.with_settings(WORK_KEY=KEY, ANTHROPIC_API_KEY="wrong")
        assert (await cli("launch", "site", "--print", "x")).out == "It is blue.\n"
        assert (await cli("launch", "site", "--print", "x", "--model", "claude-sonnet-4-5")).code == 0
        first, second = person.api.asked()
        assert first.headers["x-api-key"] == KEY
        assert (first.model, second.model) == ("claude-haiku-4-5", "claude-sonnet-4-5")


async def test_an_interrupt_ends_the_agent_and_a_resume_finishes_its_turn(daemon: DaemonProcess) -> None:
    gate = Gate(after=2)
    async with asking(daemon, [say("never to be seen " * 20, gate=gate), say("It is blue.")]) as person:
        process = person.start()
        await asyncio.wait_for(gate.reached.wait(), 60)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate, None, SECONDS)
        assert (process.returncode, out) == (130, ""), err
        (session,) = await person.cli.json("sessions", "--all")
        assert (session["state"], session["reason"]) == ("ended", "ended on request")
        await person.cli.done("resume", session["session_id"])
        await daemon.wait(session["session_id"], "ended", generation=2)
        assert await person.cli.done("logs", session["session_id"]) == "It is blue.\n"
        assert len(person.api.asked()) == 2


async def test_a_session_keeps_what_it_was_launched_with(daemon: DaemonProcess) -> None:
    async with asking(daemon, [say("It is blue.")]) as person:
        site = person.cli.directory
        (site / "library").mkdir()
        (site / "mcp.json").write_text('{"mcpServers": {}}')
        words = ("--model", "claude-haiku-4-5", "--add-dir", "library", "--mcp-config", "mcp.json")
        for wrong, told in (
            (("--add-dir", "nowhere"), f"There is no directory {site}/nowhere"),
            (("--mcp-config", "library"), f"There is no file {site}/library"),
            (("--permission-mode", "all"), "There is no permission mode 'all'; there is: default, "),
            (("--agent", "claud"), "There is no agent 'claud' (did you mean 'claude'?). Known are: claude, command"),
            (("--", "--resume", "x"), "'--resume' cannot be given to Claude Code here"),
        ):
            assert told in await person.cli.refused(2, "launch", "site", "--print", "x", *wrong)
        assert (await person.cli("launch", "site", "--print", "x", *words)).code == 0
        (session,) = await person.cli.json("sessions", "--all")
        await person.cli.done("resume", session["session_id"])
        await daemon.wait(session["session_id"], "ended", generation=2)
        for generation in (1, 2):
            spec = RunDirectory(daemon.home, f"{session['session_id']}.{generation}").spec()
            assert spec is not None
            given = " ".join(spec.argv)
            assert "--model claude-haiku-4-5 --permission-mode acceptEdits" in given
            assert f"--add-dir {site}/library --mcp-config {site}/mcp.json" in given
            assert given.endswith("--allowedTools Bash")


async def test_a_schedule_asks_by_itself_in_the_environment_of_who_made_it(daemon: DaemonProcess) -> None:
    async with asking(daemon, [say("All is well.", usage=Usage(input=30, output=4))]) as person:
        words = ("--cron", "0 9 * * 1", "--prompt", "is all well?", "--name", "mondays")
        await person.cli.done("schedule", "create", "site", *words)
        await daemon.call("run_schedule", name="mondays", request_id="a request")  # by the daemon, which has no key

        async def begun() -> Any:
            return (await daemon.call("show_schedule", name="mondays"))["last_session_id"]

        session = await answer(begun, what="the launch")
        ended = await daemon.wait(session, "ended")
        assert (ended["tokens_used"], ended["generation"]) == (34, 1)
        assert "is all well?" in person.api.asked()[0].texts
        assert "All is well." in await person.cli.done("transcript", session[:8])
