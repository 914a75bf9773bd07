"""Keeping the system up: activities that a schedule has begun, of the servers or of one host."""

from typing import Protocol

from temporalio import activity

from activities.heartbeats import heartbeats
from stratavore.models.upkeep import UpkeepDone, UpkeepPart, UpkeepRequest


class Upkeep(Protocol):
    """Whoever does it."""

    async def keep_up(self, part: UpkeepPart) -> UpkeepDone:
        """Compare, repair and remove."""


class UpkeepActivities:
    """The same activity on two queues: that of all daemons, and that of this host."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    @activity.defn
    async def keep_up(self, request: UpkeepRequest) -> UpkeepDone:
        """Do one part. It can be cut off anywhere and begun anew: every repair can be repeated."""
        async with heartbeats():
            return await self._upkeep.keep_up(request.part)
