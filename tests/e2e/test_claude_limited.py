"""The real Claude Code runs into its provider's limits: its session waits them out, and goes on by itself."""

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from stratavore.errors import RemoteError
from tests.claude_code import messages_api
from tests.claude_code.messages import Answer, Asked, Kind, Reply, overloaded, say, usage_limit_reached
from tests.e2e.conversing import Conversations
from tests.support.daemon import DaemonProcess
from tests.support.waiting import until

PROMPT = "write it all down"
DONE = "it is written down"
SECONDS = 24.0
"""How long a plan's limit lasts here, from the first request that it refuses: above what a busy machine takes to see it
and to start another agent."""


@dataclass
class Provider:
    """Answers, until it is told to refuse."""

    used_up: bool = False
    """The plan has nothing left: it refuses from the next request on, for so long."""
    resets_at: int = 0
    """Of the plan (Unix time); until then it refuses."""
    overloaded: bool = False
    refused: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        if asked.kind is not Kind.MAIN:
            return say("a title")
        if self.used_up:
            self.used_up, self.resets_at = False, int(time.time() + SECONDS)
        if self.overloaded or time.time() < self.resets_at:
            self.refused.append(asked)
            return overloaded() if self.overloaded else usage_limit_reached(self.resets_at)
        return say(DONE if any(PROMPT in text for text in asked.texts) else "hello")


def done(talk: Conversations) -> Sequence[Asked]:
    """What was asked when the prompt was answered."""
    return [
        one.asked
        for one in talk.api.sent
        if one.finished and isinstance(one.answer, Reply) and one.answer.blocks == say(DONE).blocks
    ]


async def test_the_same_conversation_goes_on_when_the_plan_lets_it(daemon: DaemonProcess) -> None:
    """Through the death of the daemon; another session of the account does not run into the limit itself."""
    provider = Provider()
    async with messages_api.serve(provider) as api:
        talk = Conversations(daemon, api, subscribed=True)
        await talk.create()
        session = await talk.launch()
        other = await talk.launch()
        for one in (session, other):
            await talk.does(one, "idle")
            assert await talk.ask(one, "good morning") == "hello"
        provider.used_up = True
        await talk.say(session, PROMPT)
        view = await daemon.wait(session, "limited")
        assert view["reason"].startswith("its provider lets the key ")
        assert f"go on at {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(provider.resets_at))} UTC" in view["reason"]
        with pytest.raises(RemoteError, match="The text was not sent"):
            await talk.say(other, "are you there?")
        third = await talk.launch(prompt=PROMPT, state="limited")
        await daemon.restart()
        for one, generation in ((session, 2), (third, 2)):
            await daemon.wait_for_generation(one, generation)
            assert time.time() >= provider.resets_at
        await api.until(lambda: len(done(talk)) == 2)
        assert len(provider.refused) == 1
        (again,) = [one for one in done(talk) if any("good morning" in text for text in one.texts)]
        whole = {text.strip() for text in provider.refused[0].texts}
        assert whole < {text.strip() for text in again.texts}  # all of it, and that it is to go on
        assert sum(PROMPT in text for text in again.texts) == 1
        assert await talk.ask(other, "are you there?") == "hello"


async def test_an_answer_without_a_terminal_waits_for_the_plan(daemon: DaemonProcess) -> None:
    provider = Provider(used_up=True)
    async with messages_api.serve(provider) as api:
        talk = Conversations(daemon, api, subscribed=True)
        await talk.create()
        session = await talk.launch(prompt=PROMPT, headless=True, state="limited")
        await daemon.wait(session, "ended")
        (answered,) = done(talk)
        assert answered.at >= provider.resets_at
        assert sum(PROMPT in text for text in answered.texts) == 1
        assert DONE in (daemon.home.run_directory(f"{session}.2") / "output").read_text()


async def test_a_limit_without_a_time_is_over_once_somebody_is_answered(daemon: DaemonProcess) -> None:
    provider = Provider()
    async with messages_api.serve(provider) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session, other = await talk.launch(), await talk.launch()
        await talk.does(session, "idle")
        await talk.does(other, "idle")
        provider.overloaded = True
        await talk.say(session, PROMPT)
        view = await daemon.wait(session, "limited")
        assert ", and is tried again at " in view["reason"]
        third = await talk.launch(prompt=PROMPT, state="limited")
        provider.overloaded = False
        operator = {"id": str(uuid.uuid4()), "user": "ann", "uid": os.getuid(), "host": "h"}
        await daemon.command(session, "resume", god=operator)
        await api.until(lambda: len(done(talk)) == 2)  # of the other one that waited, too
        await daemon.wait_for_generation(third, 2)


@pytest.mark.parametrize("point", ["limits.note.after", "hold.signal.after"])
async def test_a_daemon_that_dies_over_it_lets_it_wait_once(daemon_process: DaemonProcess, point: str) -> None:
    daemon = daemon_process
    provider = Provider()
    async with messages_api.serve(provider) as api:
        await daemon.start(kill_at=point)
        talk = Conversations(daemon, api, subscribed=True)
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        provider.used_up = True
        await talk.say(session, PROMPT)
        await until(lambda: daemon.ended, what="the daemon's death")
        await daemon.start()
        await daemon.wait(session, "limited", "running", generation=1)
        await daemon.wait_for_generation(session, 2)
        await api.until(lambda: len(done(talk)) == 1)
        assert len(provider.refused) == 1
        told = await daemon.fetch("SELECT type FROM events WHERE type IN ('account.limited', 'session.limited')")
        assert sorted(row["type"] for row in told) == ["account.limited", "session.limited"]
