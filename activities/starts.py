"""Turns for starting: after a reboot all agents of a host are to start, and not all in the same second."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

SETTLE_SECONDS = 15.0
"""One that is not up by then lets the next one begin all the same."""
_LOOK_SECONDS = 0.1


class Starts:
    """Lets a few heavy agents start at a time, first come, first served.

    An agent keeps its turn until it is up, which is long after its process was made.
    """

    def __init__(self, at_once: int, is_up: Callable[[str], bool], *, settle_seconds: float = SETTLE_SECONDS) -> None:
        """``is_up`` says of a runner that its agent has started, or has ended meanwhile."""
        self._free = asyncio.Semaphore(at_once)
        self._is_up = is_up
        self._settle_seconds = settle_seconds
        self._watches: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def turn(self, runner_id: str) -> AsyncIterator[None]:
        """Wait for a turn, and start the runner in it."""
        await self._free.acquire()
        try:
            yield
        except BaseException:
            self._free.release()
            raise
        watch = asyncio.create_task(self._until_up(runner_id))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _until_up(self, runner_id: str) -> None:
        """Keep the turn until the agent is up."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._settle_seconds
        try:
            while clock() < deadline:
                if self._is_up(runner_id):
                    return
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self._free.release()
