"""Claude Code and the daemon die together in the middle of a turn: it goes on without a person, told once."""

import asyncio
import os
import signal

import pytest

from tests.claude_code import messages_api
from tests.claude_code.messages import Asked, Gate, Reply, Tool, say
from tests.e2e.conversing import Conversations
from tests.support.daemon import DaemonProcess
from tests.support.waiting import PATIENCE_SECONDS, answer, until

PROMPT = "do what is asked"


class Turns:
    """Each turn is a tool and then words, and at one moment of the first turn it is held up until all is dead."""

    def __init__(self, moment: str) -> None:
        self.moment = moment
        self.dead = False
        self.gate = Gate()
        self.ends: list[Reply] = []
        """The replies that end a turn."""

    def __call__(self, asked: Asked) -> Reply:
        last = asked.messages[-1]["content"]
        if isinstance(last, list) and any(block.get("type") == "tool_result" for block in last):
            self.ends.append(say("all of it is done"))
            return self.ends[-1]
        if self.dead:
            return say("I use a tool.", Tool("Bash", {"command": "echo done", "description": "do it"}))
        if self.moment == "tool":
            return say("I use a tool.", Tool("Bash", {"command": "touch began; sleep 1000", "description": "do it"}))
        return say("I think of", "many words", gate=self.gate)


@pytest.mark.parametrize("moment", ["taken", "reply", "tool"])
async def test_the_turn_goes_on_after_both_died(daemon: DaemonProcess, moment: str) -> None:
    turns = Turns(moment)
    async with messages_api.serve(turns) as api:
        talk = Conversations(daemon, api)
        await talk.create("Bash")
        session = await talk.launch()
        await talk.does(session, "idle")
        await talk.say(session, PROMPT)  # returns when the agent has taken it
        if moment == "reply":
            await api.until(lambda: any(PROMPT in text for texts in talk.asked for text in texts))
        elif moment == "tool":
            await until((talk.site / "began").exists)
        pid = (await talk.runner(session))["pid"]
        turns.dead = True
        daemon.kill()
        os.kill(pid, signal.SIGKILL)
        turns.gate.open()
        await daemon.start()
        await api.until(lambda: any(one.finished and one.answer in turns.ends for one in api.sent))
        await talk.does(session, "idle")
        assert (await talk.runner(session))["generation"] == 2
        assert await talk.ask(session, "and now?") == "all of it is done"
        (said,) = [text for text in talk.asked[-1] if PROMPT in text]
        assert said.count(PROMPT) == 1


async def test_a_prompt_that_waited_for_the_turn_is_told_after_it(daemon: DaemonProcess) -> None:
    """Claude Code forgets what waits when it is killed, and writes more of the turn before after that was given."""
    gate, dead, waits = Gate(after=1), False, "and this is the next thing"

    def turns(asked: Asked) -> Reply:
        if dead:
            return say("I go on.")
        return say("many words of a reply " * 5, Tool("Bash", {"command": "touch began; sleep 1000"}), gate=gate)

    async with messages_api.serve(turns) as api:
        talk = Conversations(daemon, api)
        await talk.create("Bash")
        session = await talk.launch()
        await talk.does(session, "idle")
        await talk.say(session, PROMPT)
        await asyncio.wait_for(gate.reached.wait(), PATIENCE_SECONDS)
        await talk.say(session, waits)
        gate.open()
        await until((talk.site / "began").exists)
        await answer(lambda: written(daemon, "many words of a reply"), what="the reply in the transcript")
        dead = True
        await talk.kill(session)
        await api.until(lambda: any(waits in text for texts in talk.asked for text in texts))
        await talk.does(session, "idle")
        assert (await talk.runner(session))["generation"] == 2
        assert await talk.ask(session, "and now?") == "I go on."
        for prompt in (PROMPT, waits):
            (said,) = [text for text in talk.asked[-1] if prompt in text]
            assert said.count(prompt) == 1


async def written(daemon: DaemonProcess, words: str) -> bool:
    """Whether the transcript that is kept holds this."""
    rows = await daemon.fetch("SELECT text FROM messages WHERE role = 'assistant'")
    return any(words in row["text"] for row in rows)
