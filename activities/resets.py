"""Beginning a period of limits anew: an activity that a schedule has begun."""

from collections.abc import Awaitable, Callable, Mapping

from temporalio import activity

from activities.heartbeats import heartbeats
from stratavore.models.resets import ResetDone, ResetStep, Resettable

Reset = Callable[[ResetStep], Awaitable[ResetDone]]
"""Begins the period anew that has come by its time, as often as it is asked to."""


class ResetActivities:
    """One activity for everything that has periods."""

    def __init__(self, resets: Mapping[Resettable, Reset]) -> None:
        self._resets = resets

    @activity.defn
    async def reset(self, step: ResetStep) -> ResetDone:
        """Begin a period anew. It can be cut off anywhere and begun again."""
        async with heartbeats():
            return await self._resets[step.what](step)
