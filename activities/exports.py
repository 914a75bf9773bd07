"""Writing what was used on a day: an activity of a host, that a schedule has begun."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio import activity

from activities.heartbeats import heartbeats
from stratavore.models.exports import ExportDone, ExportStep

Export = Callable[[datetime], Awaitable[ExportDone]]
"""Writes the days that are over by a time, as often as it is asked to."""


class ExportActivities:
    """One activity, on the queue of the host that has the directory."""

    def __init__(self, export: Export) -> None:
        self._export = export

    @activity.defn(name="export_used")
    async def export(self, step: ExportStep) -> ExportDone:
        """Write what is missing. It can be cut off anywhere and begun again: each file is whole."""
        async with heartbeats():
            return await self._export(step.due)
