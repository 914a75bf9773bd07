"""A turn or the process is broken off, and goes on."""

import asyncio

from stratavore.models.states import Activity
from tests.claude_code.messages import Gate, say
from tests.claude_code.situations.situation import CONVERSATION, Situation
from tests.claude_code.stage import Stage


def escape_early() -> Situation:
    """The person stops it before the first byte of a reply, and goes on with another prompt."""
    gate = Gate()

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("Think about it")
        await gate.reached.wait()
        await asyncio.sleep(2)
        await stage.press("Escape")
        stage.truth(Activity.IDLE)
        await asyncio.sleep(3)
        await stage.press("C-u")
        await stage.turn("Something else")
        await stage.idle_after(2)

    return Situation([say("Never said.", gate=gate), say("Something else it is. " * 5, pause=0.3)], steps)


def escape_late() -> Situation:
    """The person stops it in the middle of a reply."""
    gate = Gate(after=3)

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("Tell me a story")
        await gate.reached.wait()
        await asyncio.sleep(2)
        await stage.press("Escape")
        stage.truth(Activity.IDLE)

    return Situation([say("Once upon a time there was a site. " * 8, usage=CONVERSATION, gate=gate)], steps)


def killed() -> Situation:
    """``kill -9`` in the middle of a reply."""
    gate = Gate(after=3)

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("The first thing")
        await stage.idle_after(1)
        await stage.turn("The second thing")
        await gate.reached.wait()
        await asyncio.sleep(1)
        await stage.kill()

    return Situation([say("The first reply.", usage=CONVERSATION), say("The second reply. " * 8, gate=gate)], steps)


def resumed() -> Situation:
    """Killed between two turns, and resumed."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("The first thing")
        await stage.idle_after(1)
        await stage.hook("Stop")
        await stage.kill()
        await stage.start(resume=True)
        await stage.ready()
        await stage.turn("The second thing")
        await stage.idle_after(2)

    return Situation([say("The first reply.", usage=CONVERSATION), say("The second reply. " * 8, pause=0.3)], steps)


def resumed_interrupted() -> Situation:
    """Killed in the middle of a turn, which goes on by itself after the resume."""
    gate = Gate(after=3)
    answers = [
        say("The first reply.", usage=CONVERSATION),
        say("The second reply. " * 8, gate=gate),
        say("The second reply, whole. " * 8, pause=0.3),
    ]

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("The first thing")
        await stage.idle_after(1)
        await stage.turn("The second thing")
        await gate.reached.wait()
        await asyncio.sleep(1)  # a prompt that was not written down yet would be lost
        await stage.kill()
        await stage.start(resume=True)
        await stage.api.until(lambda: len(stage.api.sent) == 3)
        stage.truth(Activity.BUSY, at=stage.api.sent[-1].asked.at)
        await stage.idle_after(3)

    return Situation(answers, steps)
