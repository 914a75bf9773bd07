"""What a daemon does beside everything else until it is asked to stop: nothing of it ever ends by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from stratavore.cancelling import strays_fail
from stratavore.errors import PartEnded

log = logging.getLogger("stratavored")

AGAIN_SECONDS = 2.0
"""Until what is to be done once is tried again."""


def begin(part: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Let a part run beside the others, under its own name."""
    return asyncio.create_task(part, name=getattr(part, "__qualname__", None))


async def every(seconds: float, job: Callable[[], Awaitable[None]]) -> None:
    """Do a job again and again; one that fails is tried again like the others."""
    while True:
        try:
            with strays_fail():
                await job()
        except Exception as error:
            log.warning("a background job failed, and is tried again: %s", str(error) or type(error).__name__)
        await asyncio.sleep(seconds)


async def until_done(job: Callable[[], Awaitable[None]]) -> None:
    """Do a job once, however often it has to be tried. Returns never."""
    while True:
        try:
            with strays_fail():
                await job()
            break
        except Exception as error:
            log.warning("a beginning failed, and is tried again: %s", str(error) or type(error).__name__)
        await asyncio.sleep(AGAIN_SECONDS)
    await asyncio.Event().wait()


def why_ended(part: "asyncio.Task[Any]") -> BaseException:
    """Why a part ended that nobody had asked to end. Without it a daemon does half of its work: it ends as well."""
    failure = None if part.cancelled() else part.exception()
    return failure or PartEnded(part=part.get_name(), how="was cancelled" if part.cancelled() else "returned")
