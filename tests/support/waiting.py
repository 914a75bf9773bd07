"""Waiting for something to become true, instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
"""How long a test waits by default. A busy machine is no fault, and what comes in time costs nothing."""


async def until(condition: Callable[[], object], timeout: float = PATIENCE_SECONDS, what: str = "it") -> None:
    """Return as soon as ``condition()`` is true; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        await asyncio.sleep(0.02)


async def answer(ask: Callable[[], Awaitable[T]], timeout: float = PATIENCE_SECONDS, what: str = "it") -> T:
    """The first answer that is true; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := await ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        await asyncio.sleep(0.05)
    return found
