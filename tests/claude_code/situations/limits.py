"""The API gives no reply."""

import time

from stratavore.models.states import Activity
from tests.claude_code.messages import overloaded, rate_limited, say, usage_limit_reached
from tests.claude_code.situations.situation import Situation
from tests.claude_code.stage import Stage


def limit_with_reset() -> Situation:
    """The account's limit is reached, and the API says until when."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("One more thing")
        await stage.idle_after(1)

    return Situation([usage_limit_reached(int(time.time()) + 3 * 3600)], steps, subscribed=True)


def limit_without_reset() -> Situation:
    """The API refuses for good, and says nothing of a reset."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("One more thing")
        await stage.idle_after(1)

    return Situation([rate_limited(retry=False)], steps)


def limit_retried() -> Situation:
    """The API refuses for a moment, and the program tries again by itself."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("One more thing")
        await stage.idle_after(2)

    return Situation([rate_limited(retry=True, retry_after=3), say("It went through. " * 6, pause=0.3)], steps)


def overload() -> Situation:
    """The API is overloaded for longer than the program tries."""

    async def steps(stage: Stage) -> None:
        await stage.begin()
        await stage.turn("One more thing")
        ended = await stage.hook("StopFailure")
        stage.truth(Activity.IDLE, at=ended["at"])

    return Situation([overloaded()], steps)
