"""What one host has of runners: processes, terminals, run directories, and who is watched."""

import asyncio
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from stratavore.errors import StratavoreError
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, ProcessIdentity, Snapshot, end, liveness
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import Tmux

END_GRACE_SECONDS = 2.0
_RUNNER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[1-9][0-9]*")
_SOCKET = re.compile(r"t-([0-9a-f]{12})")


class Watcher(Protocol):
    """The host's monitor, as reconciliation uses it."""

    def watched_runners(self) -> frozenset[str]:
        """The runners that are watched, or whose end is being told."""

    def ending_runners(self) -> frozenset[str]:
        """Of those, the ones whose process is proven dead."""

    async def recover(self) -> int:
        """Watch every runner of this host that has not ended. Returns how many there are."""


@dataclass(frozen=True)
class Seen:
    """What was seen on the host at one moment."""

    processes: dict[str, tuple[ProcessIdentity, ...]]
    """Living ones, by the runner whose marker they carry."""
    terminals: dict[str, str]
    """Runners that have a terminal, each with the beginning of its project's id."""
    directories: frozenset[str]
    """Runners that have a run directory."""
    watched: frozenset[str]
    """Runners that the monitor has."""
    ending: frozenset[str]
    """Those of them whose process is proven dead: their end is being told."""
    unseen: tuple[str, ...]
    """What could not be looked at."""

    @property
    def runner_ids(self) -> set[str]:
        """Every runner of which there is a trace."""
        return {*self.processes, *self.terminals, *self.directories}

    @property
    def living(self) -> set[str]:
        """Runners of which something lives."""
        return {*self.processes, *self.terminals}


class Here:
    """The host of this daemon. Only processes and terminals of its state directory are looked at."""

    def __init__(self, home: Home, tmux: Tmux, watcher: Watcher) -> None:
        self._home = home
        self._tmux = tmux
        self._watcher = watcher

    async def look(self) -> Seen:
        """What is there now."""
        terminals, unseen = await self._terminals()
        return Seen(
            processes=await asyncio.to_thread(self._processes),
            terminals=terminals,
            directories=await asyncio.to_thread(self._directories),
            watched=self._watcher.watched_runners(),
            ending=self._watcher.ending_runners(),
            unseen=tuple(unseen),
        )

    async def watch_all(self) -> None:
        """Have every runner watched that has not ended."""
        await self._watcher.recover()

    async def processes_of(self, runner_id: str) -> tuple[ProcessIdentity, ...]:
        """Those that live now."""
        return (await asyncio.to_thread(self._processes)).get(runner_id, ())

    async def end_processes(self, runner_id: str) -> Sequence[ProcessIdentity]:
        """End all that carry the runner's marker. Returns those that do not end."""
        return await end(await self.processes_of(runner_id), grace=END_GRACE_SECONDS)

    async def close_terminal(self, project: str, runner_id: str) -> None:
        """Close the runner's terminal, if it has one.

        Raises:
            TerminalFailed: its server does not do it.
        """
        await self._tmux.kill(project, runner_id)

    async def remove_directory(self, runner_id: str) -> None:
        """Remove a run directory for good."""
        await asyncio.to_thread(shutil.rmtree, self._home.run_directory(runner_id))

    def last_change(self, runner_id: str) -> datetime:
        """When something in its run directory was written last.

        Raises:
            OSError: it is gone.
        """
        directory = self._home.run_directory(runner_id)
        moments = [directory.lstat().st_mtime, *(one.lstat().st_mtime for one in directory.iterdir())]
        return datetime.fromtimestamp(max(moments), UTC)

    def began(self, runner_id: str) -> bool:
        """Whether its wrapper was started here, ever."""
        return RunDirectory(self._home, runner_id).wrapper() is not None

    def agent_lives(self, runner_id: str) -> bool:
        """Whether its agent is known, and not proven dead."""
        agent = RunDirectory(self._home, runner_id).agent()
        return agent is not None and liveness(agent) is not Liveness.DEAD

    def processes_begun(self, runner_id: str) -> tuple[ProcessIdentity | None, ProcessIdentity | None]:
        """The agent and its wrapper, dead or alive; None: nothing says so."""
        run = RunDirectory(self._home, runner_id)
        return run.agent(), run.wrapper()

    def nothing_lives(self, runner_id: str) -> bool:
        """Whether the processes that its run directory names are proven dead."""
        run = RunDirectory(self._home, runner_id)
        return all(one is None or liveness(one) is Liveness.DEAD for one in (run.agent(), run.wrapper()))

    def _processes(self) -> dict[str, tuple[ProcessIdentity, ...]]:
        marked = Snapshot().marked(home=self._home.root)
        return {runner: tuple(found) for runner, found in marked.items() if _RUNNER.fullmatch(runner)}

    async def _terminals(self) -> tuple[dict[str, str], list[str]]:
        found: dict[str, str] = {}
        unseen: list[str] = []
        for socket in sorted(_entries(self._home.sockets)):
            if named := _SOCKET.fullmatch(socket.name):
                project = named[1]  # all that a socket's name has of the project's id
                try:
                    panes = await self._tmux.runners(project)
                except StratavoreError as error:
                    unseen.append(f"terminals at {socket}: {error}")
                    continue
                found |= {runner: project for runner in panes if _RUNNER.fullmatch(runner)}
        return found, unseen

    def _directories(self) -> frozenset[str]:
        return frozenset(one.name for one in _entries(self._home.runners) if _RUNNER.fullmatch(one.name))


def _entries(directory: Path) -> Iterable[Path]:
    """What is in it; nothing if somebody has deleted it."""
    return directory.iterdir() if directory.is_dir() else ()
