"""Waiting for something to become true, instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.3
"""Between two questions."""

PATIENCE_SECONDS = 90.0
"""How long a test waits by default. A busy machine is no fault, and what comes in time costs nothing."""


async def until(condition: Callable[[], object], timeout: float = PATIENCE_SECONDS, what: str = "it") -> None:
    """Return as soon as ``condition()`` is true; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.02
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        await asyncio.sleep(pause)
        pause = min(1.2 * pause, 0.1)  # some conditions look at every process


async def answer(ask: Callable[[], Awaitable[T]], timeout: float = PATIENCE_SECONDS, what: str = "it") -> T:
    """The first answer that is true; fail after ``timeout`` seconds.

    Most who are asked are servers, to which the test connects anew each time: what takes longer is asked less often.
    """
    deadline = time.monotonic() + timeout
    pause = SHORTEST_PAUSE_SECONDS
    while not (found := await ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        await asyncio.sleep(pause)
        pause = min(1.2 * pause, LONGEST_PAUSE_SECONDS)
    return found
