"""Threads for what blocks, beside those of ``asyncio.to_thread``, which are few and everybody's.

A call that hangs keeps its thread also when nobody waits for it any more.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_reserved = ThreadPoolExecutor(4, "reserved")


async def reserved(function: Callable[P, T], *words: P.args, **named: P.kwargs) -> T:
    """Like ``asyncio.to_thread``, for what keeps the host alive: it reads the state directory and ``/proc`` only."""
    return await asyncio.get_running_loop().run_in_executor(_reserved, partial(function, *words, **named))


class Unwaited(ThreadPoolExecutor):
    """Threads that the end of the event loop does not wait for: with one that hangs, no daemon would end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
