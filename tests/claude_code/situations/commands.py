"""What the person asks of the program itself."""

import asyncio

from stratavore.models.states import Activity
from tests.claude_code.messages import Usage, say
from tests.claude_code.situations.situation import CONVERSATION, Situation
from tests.claude_code.stage import Stage


def clear() -> Situation:
    """``/clear``: another conversation in the same process."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("The first thing")
        await stage.idle_after(1)
        await stage.command("/clear")
        await stage.hook("SessionStart", 2)
        await asyncio.sleep(1)
        await stage.turn("The second thing")
        await stage.idle_after(2)

    return Situation([say("The first reply.", usage=CONVERSATION), say("The second reply. " * 4, pause=0.3)], steps)


def compact() -> Situation:
    """``/compact``: the conversation is replaced by a summary that the model writes."""
    summary = "<analysis>Two things.</analysis>\n<summary>They spoke of the first thing.</summary>"
    answers = [
        say("The first reply.", usage=CONVERSATION),
        say(summary, usage=Usage(input=900, output=120), pause=0.4),
        say("The second reply. " * 4, pause=0.3),
    ]

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("The first thing")
        await stage.idle_after(1)
        await stage.command("/compact", Activity.BUSY)
        await stage.idle_after(2)
        await stage.hook("PostCompact")
        await asyncio.sleep(1)
        await stage.turn("The second thing")
        await stage.idle_after(3)

    return Situation(answers, steps)


def exit() -> Situation:
    """The person leaves."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("Hello")
        await stage.idle_after(1)
        await stage.command("/exit")
        await stage.gone()

    return Situation([say("Hello to you.")], steps)
