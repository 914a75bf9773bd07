"""Telling the server, while an activity works, that its process lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

HEARTBEAT_SECONDS = 1.0


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Heartbeat while the body runs, so that the death of this process is noticed within seconds."""

    async def beat() -> None:
        while True:
            # What is over sooner costs the server no heartbeat.
            await asyncio.sleep(HEARTBEAT_SECONDS)
            activity.heartbeat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
