"""A worker that is there only while this host may do its work."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from temporalio.worker import Worker

from stratavore import threads

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class PartTimeWorker:
    """Makes a worker whenever its work may be done here, and ends it when it may not any more.

    Session workflows are worked on by hosts that can reach Postgres, and by no others: a workflow belongs for a while
    to the worker that has it in memory, whichever host its agent is on, and each of its steps is a transaction, so a
    host that is cut off from Postgres, and not from Temporal, would hold up others' sessions. What is a host's own is
    worked on by the daemon that has its name.
    """

    def __init__(self, make: Callable[[], Worker], may_work: Callable[[], bool], *, without: str) -> None:
        """``without`` is what is said when it may not work any more."""
        self._make = make
        self._may_work = may_work
        self._without = without
        self._stop = asyncio.Event()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Work until asked to stop, with pauses."""
        try:
            while await self._wait_for(True):
                worker = self._make()
                working = asyncio.create_task(worker.run())
                over = asyncio.create_task(self._wait_for(False))
                await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if not working.done():
                    if not self._stop.is_set():
                        log.warning("%s", self._without)
                    await worker.shutdown()
                await working
        finally:
            self._over.set()

    async def shutdown(self) -> None:
        """Ask it to stop, and wait until it has: what is under way is given its time."""
        self._stop.set()
        await self._over.wait()

    async def _wait_for(self, may: bool) -> bool:
        """Wait until it may work, or may not any more. Returns False if it is to stop instead."""
        while not self._stop.is_set():
            if await threads.reserved(self._may_work) is may:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)
        return False
