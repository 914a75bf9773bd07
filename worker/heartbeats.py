"""Signs of life of the supervisions that workflows wait for."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic, perf_counter

from temporalio.client import AsyncActivityCancelledError, Client
from temporalio.service import RPCError, RPCStatusCode

from stratavore import naming, telemetry
from worker.watched import Watched

HEARTBEAT_SECONDS = 60.0
HEARTBEATS_AT_ONCE = 20
AGAIN_SECONDS = 5.0
"""After one that failed."""


class Heartbeats:
    """Tells Temporal of each runner that it is watched."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def look(self, watched: Iterable[Watched]) -> None:
        """Heartbeat for the supervisions that are due, a few at a time."""
        now = monotonic()
        due = [one for one in watched if one.next_heartbeat <= now and one.end is None]
        gate = asyncio.Semaphore(HEARTBEATS_AT_ONCE)
        await asyncio.gather(*(self._tell(one, gate) for one in due))

    async def _tell(self, watched: Watched, gate: asyncio.Semaphore) -> None:
        async with gate:
            handle = self._client.get_async_activity_handle(
                workflow_id=naming.workflow_id(watched.session_id), run_id=None, activity_id=watched.runner_id
            )
            began = perf_counter()
            try:
                # Who pauses or resets it in the Web UI does not change that its runner is watched.
                with suppress(AsyncActivityCancelledError):
                    await handle.heartbeat()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    watched.next_heartbeat = monotonic() + AGAIN_SECONDS
                    raise
            telemetry.HEARTBEAT_LATENCY.observe(perf_counter() - began)
            watched.next_heartbeat = monotonic() + HEARTBEAT_SECONDS
