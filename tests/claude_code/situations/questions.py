"""The program or the model asks the person."""

import asyncio
import re

from stratavore.models.states import Activity
from tests.claude_code.messages import Answer, Asked, Tool, say
from tests.claude_code.situations.situation import NOTIFIED_SECONDS, Situation, make_file
from tests.claude_code.stage import Stage


def permission_granted() -> Situation:
    """A tool needs a permission; the person gives it after a while."""

    async def steps(stage: Stage) -> None:
        await _until_asked(stage)
        await asyncio.sleep(NOTIFIED_SECONDS)
        stage.truth(Activity.BUSY)
        await stage.press("Enter")
        await stage.idle_after(2)

    return Situation([say("I make it.", make_file()), say("It is made. " * 8, pause=0.3)], steps)


def permission_denied() -> Situation:
    """A tool needs a permission; the person refuses it."""

    async def steps(stage: Stage) -> None:
        await _until_asked(stage)
        await asyncio.sleep(2)
        await stage.press("Escape")
        stage.truth(Activity.IDLE)

    return Situation([say("I make it.", make_file())], steps)


def file_granted() -> Situation:
    """A file is to be written, which is asked in other words; the person allows it at once."""

    def script(asked: Asked) -> Answer:
        if len(asked.results):
            return say("It is written. " * 6, pause=0.3)
        (site,) = re.findall(r"working directory: (\S+)", "".join(asked.texts))
        return say("I write it.", Tool("Write", {"file_path": f"{site}/made.txt", "content": "one\ntwo\n"}))

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("Write a file")
        stage.truth(Activity.WAITING, "made.txt", at=await stage.answered(1))
        await stage.shows("Do you want to")
        await asyncio.sleep(2)
        stage.truth(Activity.BUSY)
        await stage.press("Enter")
        await stage.idle_after(2)

    return Situation(script, steps)


def plan_approved() -> Situation:
    """The model has a plan, which the person approves."""
    answers = [say("A plan.", Tool("ExitPlanMode", {"plan": "1. Make it"})), say("It is made. " * 8, pause=0.3)]

    async def steps(stage: Stage) -> None:
        await stage.start(mode="plan")
        await stage.ready()
        await stage.turn("Plan it")
        stage.truth(Activity.WAITING, "plan", at=await stage.answered(1))
        await stage.shows("Exit plan mode")
        await asyncio.sleep(NOTIFIED_SECONDS)
        stage.truth(Activity.BUSY)
        await stage.press("Enter")
        await stage.idle_after(2)

    return Situation(answers, steps)


def question() -> Situation:
    """The model asks the person something, who answers after a while."""
    asked = {
        "question": "Which colour should it be?",
        "header": "Colour",
        "multiSelect": False,
        "options": [
            {"label": "Red", "description": "Like fire"},
            {"label": "Blue", "description": "Like the sea"},
        ],
    }
    answers = [
        say("One question.", Tool("AskUserQuestion", {"questions": [asked]})),
        say("Blue it is. " * 8, pause=0.3),
    ]

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("Choose a colour")
        stage.truth(Activity.WAITING, "Which colour should it be?", at=await stage.answered(1))
        await stage.shows("Enter to select")
        await asyncio.sleep(NOTIFIED_SECONDS)
        await stage.press("Down")
        await asyncio.sleep(0.3)
        stage.truth(Activity.BUSY)
        await stage.press("Enter")
        await stage.idle_after(2)

    return Situation(answers, steps)


async def _until_asked(stage: Stage) -> None:
    """To the question whether a file may be made."""
    await stage.begin()
    await stage.turn("Make a file")
    stage.truth(Activity.WAITING, "touch made.txt", at=await stage.answered(1))
    await stage.shows("Do you want to proceed")
