"""Preparing the session that a schedule launches: an activity on the queue of the host that has the project."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from stratavore.models.schedules import Prepared, PrepareRequest

Prepare = Callable[[PrepareRequest], Awaitable[Prepared]]
"""Makes a session ready to be started, as often as it is asked to."""


class ScheduleActivities:
    """One activity; the session itself is started by the workflow."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare

    @activity.defn(name="prepare_scheduled")
    async def prepare(self, request: PrepareRequest) -> Prepared:
        """Check the launch, and lay out what the session needs. Key: the session."""
        return await self._prepare(request)
