"""The real Claude Code against the loopback Messages API: both do what tests rely on."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.claude_code.messages import Gate, Kind, Tool, Usage, overloaded, rate_limited, say, usage_limit_reached
from tests.claude_code.messages_api import MessagesApi, serve
from tests.claude_code.program import PrivateHome, headless

SECONDS = 60.0


@dataclass(frozen=True)
class Answered:
    """What the program wrote without a terminal."""

    code: int
    lines: Sequence[dict[str, Any]]
    errors: str

    @property
    def result(self) -> dict[str, Any]:
        """The line that ends it."""
        return self.lines[-1]


class Person:
    """Runs the program in a directory, in a home of its own."""

    def __init__(self, directory: Path) -> None:
        self.site = directory / "site"
        self.site.mkdir()
        self.home = PrivateHome(directory / "user")
        self.home.create(self.site)

    async def start(self, api: MessagesApi, *argv: str, subscribed: bool = False) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=self.site,
            env=self.home.environment(api.url, subscribed=subscribed),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def ask(self, api: MessagesApi, prompt: str, *words: str, subscribed: bool = False) -> Answered:
        process = await self.start(api, *headless(prompt, *words), subscribed=subscribed)
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Answered(process.returncode, [json.loads(line) for line in out.splitlines()], err.decode())

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of a type in all its transcripts."""
        lines = [line for path in self.home.transcripts.rglob("*.jsonl") for line in path.read_text().splitlines()]
        return [row for row in map(json.loads, lines) if row["type"] == kind]


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


async def test_a_reply_arrives_whole_with_the_tokens_that_were_sent(person: Person) -> None:
    text = "Ein längerer Satz, mit 漢字 und 😀, in vielen Stücken. " * 20
    async with serve([say(text, usage=Usage(11, 22, 33, 44, 5))]) as api:
        answered = await person.ask(api, "Hello")
        assert (answered.code, answered.result["result"]) == (0, text)
        (row,) = person.rows("assistant")
        (entry,) = api.ledger()
    assert row["message"]["id"] == entry["message_id"]
    for name, tokens in entry["usage"].items():
        assert row["message"]["usage"][name] == tokens
    assert entry["finished"]


async def test_tools_are_used_and_their_results_come_back(person: Person) -> None:
    answers = [say("I look.", Tool("Bash", {"command": "echo $((6 * 7))", "description": "Count"})), say("It is so.")]
    async with serve(answers) as api:
        answered = await person.ask(api, "Count", "--allowedTools", "Bash")
        assert answered.result["result"] == "It is so."
        (given,) = api.asked(Kind.MAIN)[-1].results
    assert "42" in given


async def test_a_resume_sends_the_whole_conversation_again(person: Person) -> None:
    session = str(uuid.uuid4())
    async with serve([say("The first reply."), say("The second reply.")]) as api:
        await person.ask(api, "The first prompt", "--session-id", session)
        await person.ask(api, "The second prompt", "--resume", session)
        asked = api.asked(Kind.MAIN)[-1]
    said = [text for text in asked.texts if text.startswith("The ")]
    assert said == ["The first prompt", "The first reply.", "The second prompt"]
    assert asked.headers["x-claude-code-session-id"] == session


async def test_requests_of_agents_are_told_apart(person: Person) -> None:
    agent = {"description": "count", "prompt": "Count the apples", "subagent_type": "general-purpose"}
    answers = iter([say("One agent.", Tool("Agent", agent)), say("It is at it."), say("All is counted.")])
    async with serve(lambda asked: say("Three.") if asked.kind is Kind.AGENT else next(answers)) as api:
        await person.ask(api, "Count")
        (asked,) = api.asked(Kind.AGENT)
    assert "Count the apples" in "".join(asked.texts)


async def test_who_leaves_in_the_middle_of_a_reply_was_not_sent_it(person: Person) -> None:
    gate = Gate(after=2)
    async with serve([say("A reply in many pieces. " * 10, gate=gate)]) as api:
        process = await person.start(api, *headless("Hello"))
        async with asyncio.timeout(SECONDS):
            await gate.reached.wait()
            process.kill()
            await process.communicate()
        await api.until(lambda: api.sent[0].ended_at)
        assert not api.ledger()[0]["finished"]
    assert person.rows("assistant") == []


async def test_a_limit_is_told_with_its_reset_to_a_subscription(person: Person) -> None:
    async with serve([usage_limit_reached(1_900_000_000)]) as api:
        answered = await person.ask(api, "Hello", subscribed=True)
        assert answered.code != 0
        (row,) = person.rows("assistant")
    assert (row["error"], row["apiErrorStatus"], row["quotaLimits"]["resetsAt"]) == ("rate_limit", 429, 1_900_000_000)


async def test_a_limit_without_a_reset_ends_the_turn_at_once(person: Person) -> None:
    async with serve([rate_limited(retry=False)]) as api:
        answered = await person.ask(api, "Hello")
        assert (answered.code, len(api.sent)) == (1, 1)
        (row,) = person.rows("assistant")
    assert (row["error"], row["message"]["model"]) == ("rate_limit", "<synthetic>")


@pytest.mark.parametrize("failure", [rate_limited(retry=True, retry_after=1), overloaded()], ids=["429", "529"])
async def test_what_may_pass_is_tried_again(person: Person, failure: Any) -> None:
    async with serve([failure, say("It went through.")]) as api:
        answered = await person.ask(api, "Hello")
        assert answered.result["result"] == "It went through."
        assert [entry["status"] for entry in api.ledger()] == [failure.status, 200]
