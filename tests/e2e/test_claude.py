"""A person's evening with Claude Code: prompts, questions, replies, a clear, a kill, and the conversation goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stratavore.errors import RemoteError
from tests.claude_code import messages_api
from tests.claude_code.messages import Asked, Reply, Tool, Usage, say
from tests.e2e.conversing import Conversations
from tests.support.daemon import DaemonProcess
from tests.support.person import Person
from tests.support.waiting import answer, until

COLOURS = {
    "questions": [
        {
            "question": "Which colour do you want?",
            "header": "Colour",
            "multiSelect": False,
            "options": [{"label": "Red", "description": "like fire"}, {"label": "Blue", "description": "the sea"}],
        }
    ]
}


async def test_what_is_sent_is_answered(daemon: DaemonProcess) -> None:
    async with messages_api.serve([say("Hello, you."), say("Grüße zurück 😀."), say("The third.")]) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch(prompt="the first words")
        runner = await talk.does(session, "idle")
        assert await talk.ask(session, "grüße\n'quoted' $HOME 😀\n\nthree lines") == "Grüße zurück 😀."
        assert "the first words" in talk.asked[0]
        assert "grüße\n'quoted' $HOME 😀\n\nthree lines" in "".join(talk.asked[1])
        large = "\n".join(f"line {number} äöü" for number in range(500))
        assert await talk.ask(session, large) == "The third."
        assert large in "".join(talk.asked[2])
        assert (await talk.runner(session))["pid"] == runner["pid"]


async def test_a_question_is_shown_and_answered_from_another_terminal(daemon: DaemonProcess) -> None:
    replies = [
        say("I shall make it.", Tool("Bash", {"command": "touch made", "description": "make a file"})),
        say(Tool("AskUserQuestion", COLOURS)),
        say("Blue it is."),
    ]
    async with messages_api.serve(replies) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        request = await talk.say(session, "make it")
        runner = await talk.does(session, "waiting")
        assert "touch made" in runner["question"]
        assert (await talk.reply(session, request))["state"] == "waiting"
        with pytest.raises(RemoteError, match=r"asks a question.*--answer"):
            await talk.say(session, "something else")
        with pytest.raises(RemoteError, match=r"'maybe' is no answer.* 1 Yes; "):
            await talk.say(session, "maybe", answer=True)
        assert not (talk.site / "made").exists()
        await talk.say(session, "yes", answer=True)
        runner = await talk.does(session, "waiting")
        while "colour" not in (runner["question"] or ""):
            runner = await talk.does(session, "waiting")
        assert runner["question"] == "Which colour do you want? (Red, Blue)"
        assert (talk.site / "made").exists()
        request = await talk.say(session, "blue", answer=True)
        assert await talk.reply(session, request) == {"state": "answered", "text": "Blue it is."}
        with pytest.raises(RemoteError, match="asks no question"):
            await talk.say(session, "blue", answer=True)


async def test_a_directory_that_is_not_trusted_waits_for_a_person(daemon: DaemonProcess) -> None:
    async with messages_api.serve([say("I am in.")]) as api:
        talk = Conversations(daemon, api, trusted=False)
        await talk.create()
        session = await talk.launch(prompt="are you in?")
        runner = await talk.does(session, "waiting")
        assert "trust" in runner["question"]
        assert api.sent == []
        await talk.say(session, "Yes", answer=True)
        await talk.does(session, "busy", "idle")
        await api.until(lambda: len(api.sent) == 1, 30)
        assert "are you in?" in talk.asked[0]


async def test_after_a_clear_and_a_kill_the_right_conversation_goes_on(daemon: DaemonProcess) -> None:
    async with messages_api.serve([say("one"), say("two"), say("three")]) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        assert await talk.ask(session, "before the clear") == "one"
        await talk.say(session, "/clear")
        assert await talk.ask(session, "after the clear") == "two"
        (row,) = await daemon.fetch("SELECT agent_session_id FROM sessions")
        assert row["agent_session_id"] != session
        await talk.kill(session)
        await daemon.wait_for_generation(session, 2)
        await talk.does(session, "idle")
        assert await talk.ask(session, "after the kill") == "three"
        last = " ".join(talk.asked[-1])
        assert "after the clear" in last
        assert "before the clear" not in last


@pytest.fixture(autouse=True)
async def ended(daemon: DaemonProcess) -> AsyncIterator[None]:
    """Nothing runs on after a test."""
    yield
    await daemon.call("command", target="all", action="terminate", request_id="0" * 32, force=True)


async def test_a_person_attaches_and_types(daemon: DaemonProcess, tmp_path: Path) -> None:
    async with messages_api.serve([say("Nice to see you."), say("And you.")]) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        async with Person.sitting({**daemon.environment, "TERM": "xterm-256color"}, tmp_path) as person:
            person.stratavore("attach", session[:8])
            await person.sees("❯")
            person.types("typed by hand")
            await person.sees("Nice to see you.")
            await person.sees("30 tokens")
            await talk.does(session, "idle")
            person.presses("C-b", "d")
            await person.is_back()
        assert "typed by hand" in talk.asked[0]
        assert await talk.ask(session, "typed from outside") == "And you."


@pytest.mark.timeout(600)
async def test_ten_sessions_at_once_in_one_project(daemon: DaemonProcess) -> None:
    usage = Usage(input=11, output=22, cache_creation=33, cache_read=44)

    def reply(asked: Asked) -> Reply:
        prompt = next(text for text in asked.texts if text.startswith("number"))
        return say(f"This is {prompt}.", usage=usage)

    async with messages_api.serve(reply) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        sessions = await asyncio.gather(*(talk.launch(prompt=f"number {number}", timeout=240) for number in range(10)))

        async def replied(number: int, session: str) -> None:
            async def ask() -> bool:
                runner = await talk.runner(session)
                return bool(runner["reply"] == f"This is number {number}." and runner["tokens_used"] == 110)

            try:
                await answer(ask, 180, f"the reply of number {number}")
            except AssertionError as error:
                runner = await talk.runner(session)
                raise AssertionError(f"{error}: {runner}\n{await talk.screen(runner['runner_id'])}") from None

        await asyncio.gather(*(replied(number, session) for number, session in enumerate(sessions)))
        views = await daemon.call("list_sessions", project=talk.project)
        assert [view["tokens_used"] for view in views] == [110] * 10
        assert len({view["cost_usd"] for view in views}) == 1
        assert views[0]["cost_usd"] > 0


async def test_a_persons_own_hooks_and_settings_keep_working(daemon: DaemonProcess) -> None:
    async with messages_api.serve([say("one"), say("two")]) as api:
        talk = Conversations(daemon, api)
        own = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": f"touch {talk.site}/of-the-person"}]}]}}
        given = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": f"touch {talk.site}/of-the-launch"}]}]}}
        await talk.create()
        configuration = talk.user.root / ".claude"
        configuration.mkdir(exist_ok=True)
        (configuration / "settings.json").write_text(json.dumps(own))
        session = await talk.launch(argv=["--settings", json.dumps(given)])
        await talk.does(session, "idle")
        assert await talk.ask(session, "first") == "one"
        made = [talk.site / "of-the-person", talk.site / "of-the-launch"]
        await until(lambda: all(path.exists() for path in made), what="hooks of the first turn")
        for path in made:
            path.unlink()
        await talk.kill(session)
        await daemon.wait_for_generation(session, 2)
        await talk.does(session, "idle")
        assert await talk.ask(session, "second") == "two"
        await until(lambda: all(path.exists() for path in made), what="hooks of the resumed agent")
