"""Files and rows that nobody needs any more: removed when it is proven, or after a time in which nobody missed them."""

import asyncio
import logging
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from temporalio.client import Client

from stratavore import naming
from stratavore.paths import Home
from stratavore.reconcile.here import Here, Seen
from stratavore.reconcile.temporal import known
from stratavore.runtime.rundir import RunDirectory
from stratavore.servers import launch_schedules, schedules
from stratavore.store import leftovers
from stratavore.store.database import Database

_log = logging.getLogger(__name__)

RUNS_KEPT = timedelta(days=30)
"""Of a runner after its end: long enough to read in its log why it ended. Secrets are among it."""
STRAYS_KEPT = timedelta(days=30)
"""What belongs to nobody that is known: as long as Temporal knows closed workflows, and a backup may be restored."""
UNSCHEDULED_KEPT = timedelta(days=1)
"""Of a schedule that is no more; it is written before the schedule is made. Secrets are among it."""
DELIVERED_KEPT = timedelta(days=7)
"""Of an event's delivery, when and after how many tries: to look at after a weekend. The event stays."""
HOST_MISSED = timedelta(days=7)
"""A host that has been away so long has no upkeep; its next daemon begins with it again."""


class Leftovers:
    """Those of the servers, and those of this host."""

    def __init__(self, home: Home, host: str, database: Database, client: Client, here: Here) -> None:
        self._home = home
        self._host = host
        self._database = database
        self._client = client
        self._here = here

    async def of_servers(self) -> tuple[str, ...]:
        """Remove rows, and schedules of hosts that are gone. Returns how many of what, in words."""
        async with self._database.pool.acquire() as connection:
            forgotten = await leftovers.forget_delivered(connection, DELIVERED_KEPT)
            gone = await leftovers.lost_hosts(connection, HOST_MISSED)
        for host in gone:
            await schedules.remove(self._client, host)
        return _counted((forgotten, "mark of a delivery", "marks of deliveries"))

    async def of_host(self) -> tuple[str, ...]:
        """Remove run directories and environments on this host. Returns how many of what, in words."""
        seen = await self._here.look()
        quiet = seen.directories - seen.living - seen.watched
        projects = await asyncio.to_thread(self._projects, quiet)
        async with self._database.pool.acquire() as connection:
            old = await leftovers.runs(connection, quiet, self._host, RUNS_KEPT)
            deleted = await leftovers.deleted_projects(connection, set(projects.values()))
        orphaned = [runner_id for runner_id, project_id in projects.items() if project_id in deleted]
        runs = [one for one in {*old, *orphaned} if await asyncio.to_thread(self._remove_run, one)]
        environments = {naming.session_of(one) for one in orphaned} | await self._strays(seen)
        removed = await asyncio.to_thread(self._remove_environments, environments)
        removed += await self._environments_of_schedules()
        return _counted((len(runs), "run directory", "run directories"), (removed, "environment", "environments"))

    async def _environments_of_schedules(self) -> int:
        """Remove those whose schedule was deleted elsewhere, or with its project. Returns how many."""
        old = await asyncio.to_thread(_old_files, self._home.schedules, UNSCHEDULED_KEPT)
        if not old:
            return 0
        there = await launch_schedules.ids(self._client)
        gone = [self._home.schedule_environment(one) for one in old - there]
        for file in gone:
            await asyncio.to_thread(file.unlink, missing_ok=True)
        return len(gone)

    async def _strays(self, seen: Seen) -> set[str]:
        """Sessions with an old environment of which neither Postgres nor Temporal nor this host knows anything else."""
        here = {naming.session_of(one) for one in seen.runner_ids}
        old = await asyncio.to_thread(_old_files, self._home.sessions, STRAYS_KEPT)
        async with self._database.pool.acquire() as connection:
            unknown = await leftovers.unknown_sessions(connection, old - here)
        return {one for one in unknown if (await known(self._client, one)).status is None}

    def _projects(self, runner_ids: Iterable[str]) -> dict[str, str]:
        """The project of each runner, by what its run directory says."""
        specs = {one: RunDirectory(self._home, one).spec() for one in runner_ids}
        return {one: spec.project_id for one, spec in specs.items() if spec and _is_id(spec.project_id)}

    def _remove_run(self, runner_id: str) -> bool:
        if not self._here.nothing_lives(runner_id):
            return False
        try:
            shutil.rmtree(self._home.run_directory(runner_id))
        except OSError as error:
            _log.warning("the run directory of %s was not removed: %s", runner_id, error)
            return False
        return True

    def _remove_environments(self, session_ids: Iterable[str]) -> int:
        removed = 0
        for session_id in session_ids:
            try:
                self._home.session_environment(session_id).unlink()
                removed += 1
            except FileNotFoundError:
                continue
            except OSError as error:
                _log.warning("the environment of %s was not removed: %s", session_id, error)
        return removed


def _counted(*found: tuple[int, str, str]) -> tuple[str, ...]:
    return tuple(f"{count} {one if count == 1 else many}" for count, one, many in found if count)


def _old_files(directory: Path, kept: timedelta) -> set[str]:
    """Ids of environments that were written longer ago."""
    found = set()
    if directory.is_dir():
        for file in directory.glob("*.environment"):
            age = datetime.now(UTC) - datetime.fromtimestamp(file.lstat().st_mtime, UTC)
            if age > kept and _is_id(file.stem):
                found.add(file.stem)
    return found


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
