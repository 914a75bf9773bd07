"""What a host does when a schedule launches a session on it."""

import asyncio

from stratavore import targets
from stratavore.control.launching import Launching
from stratavore.environment import read_environment, write_environment
from stratavore.errors import DiskFull, ServerAway, SilentDirectory, StratavoreError, UnknownProject
from stratavore.events.envelope import EventType, NewEvent
from stratavore.killpoints import effect
from stratavore.launch_options import LaunchOptions
from stratavore.models.schedules import Prepared, PrepareRequest, ScheduledLaunch
from stratavore.servers import launch_schedules

GONE = "its schedule was deleted meanwhile"
NO_PROJECT = "its project is no more, and so its schedule was deleted"


class ScheduledLaunches(Launching):
    """Prepares sessions; their workflows are started by the run of the schedule, as its children."""

    async def prepare_scheduled(self, request: PrepareRequest) -> Prepared:
        """Check what is launched now, and lay out the session's environment. Repeating it changes nothing more.

        Raises:
            ServerAway, DiskFull, RPCError, asyncpg.PostgresError: it cannot be told now; asked again, it may be.
            SilentDirectory: the same.
        """
        launch = request.launch
        found = await launch_schedules.find(self._client, launch.name)
        if found is None or found.launch.schedule_id != launch.schedule_id:
            return Prepared(refusal=GONE)
        if not await self._has_project(launch):
            await self._tell(request, NO_PROJECT)  # first: a next try would not find the schedule, and say nothing
            await launch_schedules.delete(self._client, launch.name)
            return Prepared(refusal=NO_PROJECT)
        environment = self._home.session_environment(request.session_id)
        kept = await asyncio.to_thread(read_environment, self._home.schedule_environment(launch.schedule_id))
        if kept:
            with effect("schedule.environment"):
                await asyncio.to_thread(write_environment, environment, kept)
        try:
            _, spec = await self._prepared(
                launch.project,
                LaunchOptions.of(launch.options),
                launch.prompt,
                environment,
                headless=launch.headless,
            )
        except (ServerAway, DiskFull, SilentDirectory):
            raise
        except StratavoreError as error:
            await asyncio.to_thread(environment.unlink, missing_ok=True)
            await self._tell(request, str(error))
            return Prepared(refusal=str(error))
        spec = spec.model_copy(update={"limits": launch.limits})
        return Prepared(start=self._input(launch.project_id, launch.project, request.session_id, spec))

    async def _has_project(self, launch: ScheduledLaunch) -> bool:
        """Whether there is the very project that it was made for."""
        async with self._database.pool.acquire() as connection:
            try:
                return (await targets.project(connection, launch.project)).project_id == launch.project_id
            except UnknownProject:
                return False

    async def _tell(self, request: PrepareRequest, reason: str) -> None:
        """An alert that a launch came to nothing: nobody sits there to see it."""
        launch = request.launch
        message = f"the schedule {launch.name} launched nothing: {reason}"
        data = {"severity": "warning", "message": message, "schedule": launch.name, "host": self._host}
        async with self._database.transaction("schedule.alert") as transaction:
            key = f"schedule/{request.session_id}"
            transaction.emit(NewEvent(None, key, EventType.SYSTEM_ALERT, launch.project, data))
