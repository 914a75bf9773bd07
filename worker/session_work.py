"""Session workflows are worked on by hosts that can reach Postgres, and by no others."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from temporalio.worker import Worker

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class SessionWork:
    """The worker of session workflows, which is there as long as this host holds its lease.

    A workflow belongs for a while to the worker that has it in memory, whichever host its agent is on, and each of its
    steps is a transaction: a host that is cut off from Postgres, and not from Temporal, would hold up others' sessions.
    """

    def __init__(self, make: Callable[[], Worker], holds_lease: Callable[[], bool]) -> None:
        self._make = make
        self._holds_lease = holds_lease
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until asked to stop, with pauses."""
        while await self._wait_for(True):
            worker = self._make()
            working = asyncio.create_task(worker.run())
            over = asyncio.create_task(self._wait_for(False))
            await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            if not working.done():
                if not self._stop.is_set():
                    log.warning("without a lease no session workflows are taken")
                await worker.shutdown()
            await working

    async def shutdown(self) -> None:
        """Ask it to stop. :meth:`run` returns when it has."""
        self._stop.set()

    async def _wait_for(self, holds: bool) -> bool:
        """Wait until the lease is held, or is not any more. Returns False if it is to stop instead."""
        while not self._stop.is_set():
            if await asyncio.to_thread(self._holds_lease) is holds:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)
        return False
