"""Projects."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stratavore import targets
from stratavore.agents.registry import adapter_for
from stratavore.control.reach import Reach
from stratavore.errors import MissingDirectory, ProjectExists
from stratavore.launch_options import LaunchOptions
from stratavore.models.views import ProjectView
from stratavore.project_names import check_project_name
from stratavore.store import projects


class Projects(Reach):
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
    ) -> ProjectView:
        """Create a project for a directory that exists, with what its sessions are launched with."""
        options = LaunchOptions(agent, tuple(argv), model, permission_mode, tuple(directories), tuple(mcp_config))
        check_project_name(name)
        adapter_for(agent)
        if not await asyncio.to_thread(Path(path).is_dir):
            raise MissingDirectory(path=path)
        async with self._database.transaction("project.create") as transaction:
            made = await projects.create(transaction.connection, name, path, agent, options)
            if made is None:
                known = await targets.project(transaction.connection, name)
                raise ProjectExists(name=name, path=known.path)
        return made

    async def list_projects(self) -> list[ProjectView]:
        """All projects, by name."""
        async with self._database.pool.acquire() as connection:
            return await projects.views(connection)
