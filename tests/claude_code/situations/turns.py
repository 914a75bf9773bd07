"""Starts and turns that nothing disturbs."""

import asyncio

from stratavore.models.states import Activity
from tests.claude_code.messages import Answer, Asked, Kind, Tool, Usage, say
from tests.claude_code.situations.situation import CONVERSATION, Situation, make_file
from tests.claude_code.stage import Stage


def start() -> Situation:
    """It starts and nothing is asked of it."""

    async def steps(stage: Stage) -> None:
        await stage.start()
        await stage.ready()

    return Situation([say("Never asked.")], steps)


def trust_dialog() -> Situation:
    """It starts in a directory that it does not know, and the person trusts it."""

    async def steps(stage: Stage) -> None:
        await stage.start()
        await stage.shows("trust this folder")
        stage.truth(Activity.WAITING, "Is this a project you created or one you trust?")
        await asyncio.sleep(3)
        await stage.press("Down")
        await asyncio.sleep(0.3)
        stage.truth(Activity.STARTING)
        await stage.press("Enter")
        await stage.ready()

    return Situation([say("Never asked.")], steps, trusted=False)


def prompt() -> Situation:
    """One prompt, one reply that takes two seconds."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("What is this project about?")
        await stage.idle_after(1)

    return Situation([say("It is about sites. " * 6, usage=CONVERSATION, pause=0.4)], steps)


def long_turn() -> Situation:
    """Several tools in one turn, which need no permission."""
    answers = [
        say(
            "I look around.", Tool("Bash", {"command": "sleep 2; ls", "description": "List files"}), usage=CONVERSATION
        ),
        say(
            Tool("Bash", {"command": "echo one", "description": "Say one"}),
            Tool("Bash", {"command": "echo two", "description": "Say two"}),
            usage=Usage(input=1, output=50, cache_creation=200, cache_read=8450),
        ),
        say("All that was found, in order. " * 4, usage=Usage(2, 70, 90, 8650, 40), pause=0.3),
    ]

    async def steps(stage: Stage) -> None:
        await stage.begin("--allowedTools", "Bash")
        await stage.turn("Look around")
        await stage.idle_after(3)

    return Situation(answers, steps)


def auto_mode() -> Situation:
    """A tool in the mode that asks nobody, which is the program's own choice."""
    answers = [say("Made now.", make_file()), say("It is made.")]

    async def steps(stage: Stage) -> None:
        await stage.start(mode=None)
        await stage.ready()
        await stage.turn("Make a file")
        await stage.idle_after(2)

    return Situation(answers, steps)


def subagents() -> Situation:
    """Two agents work at once, for longer than the turn that started them."""
    answers = iter(
        [
            say("I start two.", _agent("Count the apples"), _agent("Count the pears"), usage=CONVERSATION),
            say("They are at it."),
            say("One is done."),
            say("Both are done. " * 4, pause=0.3),
        ]
    )
    seconds = iter([0.4, 0.9])

    def script(asked: Asked) -> Answer:
        if asked.kind is Kind.AGENT:
            return say("It was counted. " * 9, usage=Usage(70, 80), pause=next(seconds))
        return next(answers)

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("Count the fruit with two agents")
        await stage.idle_after(6)

    return Situation(script, steps)


def background_task() -> Situation:
    """A shell runs on behind the turn that started it; it tells its end by itself."""
    behind = {"command": "sleep 6; echo ready", "description": "Wait a while", "run_in_background": True}
    answers = [say("Behind it goes.", Tool("Bash", behind)), say("It runs."), say("It has ended. " * 6, pause=0.3)]

    async def steps(stage: Stage) -> None:
        await stage.begin("--allowedTools", "Bash")
        await stage.turn("Wait behind my back")
        await stage.idle_after(2)
        await stage.api.until(lambda: len(stage.api.sent) == 3)
        stage.truth(Activity.BUSY, at=stage.api.sent[-1].asked.at)
        await stage.idle_after(3)

    return Situation(answers, steps)


def _agent(task: str) -> Tool:
    return Tool("Agent", {"description": task.lower(), "prompt": task, "subagent_type": "general-purpose"})
