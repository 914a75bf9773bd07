"""An agent that tells nonsense is followed as far as that can be, and holds up neither the others nor its own end."""

import json
import os
import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stratavore.environment import write_environment
from stratavore.errors import RemoteError
from stratavore.runtime.processes import send
from stratavore.runtime.rundir import RunDirectory
from tests.integration.worker.watching import ended, generation
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

TRUST = """\
 Accessing workspace:
 /somewhere

 Is this a project you created or one you trust?

 ❯ No, exit
   Yes, I trust this folder

 Enter to confirm · Esc to cancel
"""


DIES = """\
#!/usr/bin/env python3
import json, os, sys, time, tty
RULE = "\\u2500" * 60
generation = int(os.environ["STRATAVORE_RUNNER_ID"].rpartition(".")[2])
hooks = os.path.join(os.path.dirname(sys.argv[sys.argv.index("--settings") + 1]), "hooks")
def tell(**given):
    given["session_id"] = os.environ["STRATAVORE_SESSION_ID"]
    with open(hooks, "a") as file:
        file.write(f"{time.time()} {json.dumps(given)}\\n")
tty.setraw(0)
typed = ""
while True:
    print("\\033[2J\\033[H" + RULE + "\\r\\n\\u276f\\u00a0" + typed + "\\r\\n" + RULE + "\\r\\n", end="", flush=True)
    for key in os.read(0, 4096).decode():
        if key != "\\r":
            typed += key
            continue
        if not typed:
            continue  # an empty box is no prompt
        if generation in HEARD:
            tell(hook_event_name="UserPromptSubmit", prompt=typed)
        if generation in DEADLY:
            os.kill(os.getpid(), 9)
        typed = ""
"""
"""A program with a prompt box that tells of prompts in some generations, and dies of them in some."""


def dies(*, heard: tuple[int, ...], deadly: tuple[int, ...]) -> str:
    return DIES.replace("HEARD", str(heard)).replace("DEADLY", str(deadly))


@dataclass(frozen=True)
class Strange:
    """Sessions of a program that is called claude and does nothing: what it tells is written by the test."""

    daemon: DaemonProcess
    project: str

    def is_program(self, text: str) -> None:
        program = self.daemon.home.root / "tools" / "claude"
        program.write_text(text)
        program.chmod(0o755)

    async def launch(self, **params: Any) -> str:
        session = str(uuid.uuid4())
        tools = self.daemon.home.root / "tools"
        write_environment(
            self.daemon.home.session_environment(session),
            {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(self.daemon.home.root)},
        )
        await self.daemon.call("launch", project=self.project, session_ids=[session], **params)
        await self.daemon.wait(session, "running")
        return session

    def tell(self, session: str, name: str, number: int = 1, *, at: float | str | None = None, **given: Any) -> None:
        told = {"session_id": session, "hook_event_name": name, **given}
        with RunDirectory(self.daemon.home, f"{session}.{number}").hooks.open("a") as hooks:
            hooks.write(f"{time.time() if at is None else at} {json.dumps(told)}\n")

    async def shows(self, session: str, **wanted: Any) -> None:
        async def look() -> bool:
            (found,) = [one for one in await self.daemon.call("list_runners") if one["session_id"] == session]
            return all(found[key] == value for key, value in wanted.items())

        await answer(look, what=f"{wanted}")


@pytest.fixture
async def strange(daemon_process: DaemonProcess) -> Strange:
    daemon = daemon_process
    await daemon.start()
    tools, site = daemon.home.root / "tools", daemon.home.root / "site"
    tools.mkdir()
    site.mkdir()
    await daemon.call("create_project", name="site", path=str(site), agent="claude")
    made = Strange(daemon, "site")
    made.is_program(f"#!/bin/sh\ncat <<'END'\n{TRUST}END\nexec sleep 1000\n")
    return made


async def test_texts_that_postgres_refuses_hold_up_nobody(strange: Strange) -> None:
    session, other = await strange.launch(), await strange.launch()
    strange.tell(session, "UserPromptSubmit", prompt="with \0 and \ud83d")
    strange.tell(session, "PermissionRequest", tool_name="Bash", tool_input={"command": "echo \0\ud83d"})
    strange.tell(other, "Stop", last_assistant_message="as ever")
    await strange.shows(other, reply="as ever")
    await strange.shows(session, activity="waiting", question="May it use Bash? echo \ufffd?")
    send((await generation(strange.daemon, session, 1))[1], signal.SIGKILL)
    await ended(strange.daemon, session, 1)
    await generation(strange.daemon, session, 2)


@pytest.mark.parametrize("stamp", ["nan", "inf", "-1e18", "1e300"])
async def test_a_time_that_is_none_holds_up_nobody(strange: Strange, stamp: str) -> None:
    session = await strange.launch()
    strange.tell(session, "Stop", at=stamp, last_assistant_message="at no time")
    strange.tell(session, "Stop", last_assistant_message="now")
    await strange.shows(session, reply="now")


async def test_a_daemon_that_starts_again_goes_on_with_who_told_of_no_conversation_yet(strange: Strange) -> None:
    session, other = await strange.launch(), await strange.launch()
    await strange.shows(session, activity="waiting")
    await strange.daemon.restart()
    strange.tell(other, "Stop", last_assistant_message="trusted")
    await strange.shows(other, reply="trusted")


async def test_what_another_version_kept_of_an_agent_is_heard_anew(strange: Strange) -> None:
    session, other = await strange.launch(), await strange.launch()
    strange.tell(session, "Stop", last_assistant_message="told before")
    await strange.shows(session, reply="told before")
    strange.daemon.kill()
    await strange.daemon.fetch(
        "UPDATE runners SET reply = NULL, followed = jsonb_set(followed, '{agent,since}', '\"long ago\"')"
        " WHERE session_id = $1 RETURNING id",
        session,
    )
    await strange.daemon.start()
    strange.tell(other, "Stop", last_assistant_message="as ever")
    await strange.shows(other, reply="as ever")
    await strange.shows(session, reply="told before")


async def test_a_line_that_never_ends_is_left_behind(strange: Strange) -> None:
    session = await strange.launch()
    hooks: Path = RunDirectory(strange.daemon.home, f"{session}.1").hooks
    with hooks.open("ab") as file:
        file.write(b"x" * (5 << 20) + b"\n")
    strange.tell(session, "Stop", last_assistant_message="after it")
    await strange.shows(session, reply="after it")


async def test_nothing_of_a_runner_is_for_others_to_read(strange: Strange) -> None:
    session = await strange.launch()
    run = RunDirectory(strange.daemon.home, f"{session}.1")
    await until(run.log.exists)
    assert run.path.stat().st_mode & 0o777 == 0o700
    for name in ("settings.json", "hook.sh", "launch", "spec.json"):
        assert (run.path / name).stat().st_mode & 0o777 == 0o600, name


async def prompts(strange: Strange, session: str, number: int) -> list[str]:
    """What this runner told that it was asked."""
    hooks = RunDirectory(strange.daemon.home, f"{session}.{number}").hooks
    lines = hooks.read_text().splitlines() if hooks.exists() else []
    return [json.loads(line.partition(" ")[2])["prompt"] for line in lines]


async def test_a_prompt_that_an_agent_died_of_before_it_took_it_is_told_to_the_next(strange: Strange) -> None:
    strange.is_program(dies(heard=(2, 3), deadly=(1,)))
    session = await strange.launch(prompt="the first words")
    await generation(strange.daemon, session, 2)

    async def told() -> bool:
        return await prompts(strange, session, 2) == ["the first words"]

    await answer(told, what="the prompt")
    rows = await strange.daemon.fetch("SELECT state, detail FROM requests WHERE session_id = $1", session)
    await answer(lambda: _is_done(strange, session), what="a request that is done")
    assert len(rows) == 1
    await strange.daemon.call("send", target=session, text="more", request_id=str(uuid.uuid4()))
    assert await prompts(strange, session, 2) == ["the first words", "more"]


async def test_a_prompt_that_two_agents_took_and_died_of_is_told_to_the_third(strange: Strange) -> None:
    strange.is_program(dies(heard=(1, 3), deadly=(1, 2)))
    session = await strange.launch(prompt="the first words")

    async def told() -> bool:
        return await prompts(strange, session, 3) == ["the first words"]

    await answer(told, what="the prompt")


async def test_what_an_agent_took_with_its_last_breath_was_sent(strange: Strange) -> None:
    strange.is_program(dies(heard=(1, 2), deadly=(1,)))
    session = await strange.launch()
    await strange.daemon.call("send", target=session, text="the only words", request_id=str(uuid.uuid4()))

    async def told() -> bool:
        return await prompts(strange, session, 2) == ["the only words"]

    await answer(told, what="the prompt")


async def _is_done(strange: Strange, session: str) -> bool:
    rows = await strange.daemon.fetch("SELECT state FROM requests WHERE session_id = $1", session)
    return [row["state"] for row in rows] == ["done"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" \n\t", "There is no text to send: it holds blanks only"),
        ("a\0b", "there is a NUL character in it"),
        ("\ud83d", "it is not in UTF-8"),
        ("x" * 1_000_001, "has 1000001 bytes"),
    ],
)
async def test_a_text_that_cannot_be_sent_is_refused_at_once(strange: Strange, text: str, reason: str) -> None:
    session = await strange.launch()
    with pytest.raises(RemoteError, match=reason):
        await strange.daemon.call("send", target=session, text=text, request_id=str(uuid.uuid4()))
