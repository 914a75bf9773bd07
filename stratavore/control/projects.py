"""Projects."""

import asyncio
import logging
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.service import RPCError

from stratavore import naming, targets
from stratavore.agents.registry import adapter_for
from stratavore.control.god import God
from stratavore.control.hosts import known_host
from stratavore.directories import check_directory
from stratavore.errors import ProjectExists, ProjectHasHistory, ProjectInUse, UnknownProject
from stratavore.events.envelope import EventType, NewEvent
from stratavore.launch_options import LaunchOptions, check_failover
from stratavore.models.views import ProjectDetails, ProjectView
from stratavore.mounts import look
from stratavore.project_names import check_project_name
from stratavore.servers import launch_schedules
from stratavore.store import projects, sessions
from stratavore.store.connection import Connection

_log = logging.getLogger(__name__)

MOST_NAMED = 5
"""Sessions that a sentence names."""
SCHEDULES_SECONDS = 5.0
"""What Temporal may take to forget the schedules of a project that is no more."""


class Projects(God):
    """Directories with a name."""

    async def create_project(
        self,
        name: str,
        path: str,
        agent: str = "command",
        argv: Sequence[str] = (),
        model: str | None = None,
        permission_mode: str | None = None,
        directories: Sequence[str] = (),
        mcp_config: Sequence[str] = (),
        host: str | None = None,
        failover: str | None = None,
    ) -> ProjectView:
        """Create a project for a directory that exists, with what its sessions are launched with."""
        options = LaunchOptions(
            agent, tuple(argv), model, permission_mode, tuple(directories), tuple(mcp_config), host, failover
        )
        check_failover(failover)
        check_project_name(name)
        adapter_for(agent)
        await look(path, lambda: check_directory(path))
        async with self._database.transaction("project.create") as transaction:
            if host is not None:
                await known_host(transaction.connection, host)
            made = await projects.create(transaction.connection, name, path, agent, options)
            if made is None:
                known = await targets.project(transaction.connection, name)
                raise ProjectExists(name=name, path=known.path)
        return made

    async def list_projects(self) -> list[ProjectView]:
        """All projects, by name."""
        async with self._database.pool.acquire() as connection:
            return await projects.views(connection)

    async def show_project(self, project: str) -> ProjectDetails:
        """One project, with its sessions by state and all that was used in it."""
        async with self._database.pool.acquire() as connection:
            await targets.project(connection, project)
            found = await projects.details(connection, project)
        if found is None:  # deleted between the two looks
            raise UnknownProject(name=project, near="")
        return found

    async def delete_project(
        self, project: str, project_id: str, with_history: bool = False, god: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Delete a project in which nothing lives. Its directory stays, and so does the record of events.

        Args:
            project: its name.
            project_id: its id, so that a repeated call never deletes another one of the name.
            with_history: delete its ended sessions too: conversations, usage, and their files on this host.
            god: the operator who asks.

        Returns:
            The name, and whether there still was something to delete.

        Raises:
            ProjectInUse: sessions live in it.
            ProjectHasHistory: there are ended sessions, and nobody said that they may go.
        """
        operator = self._operator(god)
        async with self._database.transaction("project.delete") as transaction:
            connection = transaction.connection
            if not await projects.lock(connection, project_id):
                return {"name": project, "deleted": False}
            # Read now: nobody else changes it any more.
            found = await projects.details(connection, project)
            if found is None or found.project_id != project_id:
                return {"name": project, "deleted": False}
            await self._check_deletable(connection, found, with_history=with_history)
            files = await projects.files(connection, project_id, self._host)
            await projects.delete(connection, project_id)
            if operator:
                self._record_god(transaction, operator, "projects delete", [project], project)
            transaction.emit(
                NewEvent(
                    session_id=None,
                    key=f"deleted/{project_id}",
                    type=EventType.PROJECT_DELETED,
                    project=project,
                    data={
                        "project_id": project_id,
                        "path": found.path,
                        "sessions": sum(found.sessions.values()),
                        "tokens_used": found.tokens_used,
                        "cost_usd": found.cost_usd,
                    },
                )
            )
        await asyncio.to_thread(self._delete_files, files)
        await self._delete_schedules(project_id)
        return {"name": project, "deleted": True}

    async def _delete_schedules(self, project_id: str) -> None:
        """Have no schedule launch sessions in it. One that is left behind deletes itself when it is its time."""
        try:
            async with asyncio.timeout(SCHEDULES_SECONDS):
                await launch_schedules.delete_of_project(self._client, project_id)
        except (RPCError, TimeoutError) as error:
            _log.warning("schedules of a deleted project were left behind: %s", str(error) or "no answer in time")

    async def _check_deletable(self, connection: Connection, found: ProjectDetails, *, with_history: bool) -> None:
        if found.live_sessions:
            live = await sessions.views(connection, project=found.name)
            names = [naming.short(one.session_id) for one in live[:MOST_NAMED]]
            more = [f"{len(live) - MOST_NAMED} more"] if len(live) > MOST_NAMED else []
            raise ProjectInUse(
                project=found.name, count=naming.plural(len(live), "live session"), sessions=", ".join([*names, *more])
            )
        ended = sum(found.sessions.values())
        if ended and not with_history:
            raise ProjectHasHistory(project=found.name, count=naming.plural(ended, "ended session"))

    def _delete_files(self, files: projects.Files) -> None:
        """What is left of ended runners and sessions on this host. Secrets are among it: environments."""
        for session_id in files.sessions:
            self._home.session_environment(session_id).unlink(missing_ok=True)
        for runner_id in files.runners:
            shutil.rmtree(self._home.run_directory(runner_id), ignore_errors=True)
