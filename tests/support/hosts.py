"""Several hosts on this machine: daemons with their own state directories, HOMEs and terminals, on the same servers."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import asyncpg

from stratavore import fencing
from stratavore.procfs import uptime
from tests.support import guardian, servers
from tests.support.daemon import DaemonProcess
from tests.support.waiting import PATIENCE_SECONDS, answer

LEASE_SECONDS = 60.0
"""Nobody is taken for away only since the machine is busy."""
LOST_SECONDS = 5.0
"""Until the lease of a host that cannot renew it any more is over, when a test ends it: see :meth:`Hosts.lose`."""
SHORT_LEASE_SECONDS = 15.0
"""Of a host whose daemon works on as it loses its lease; a busy machine is to renew it until then."""


class HostProcess(DaemonProcess):
    """The daemon of one of several hosts. What stands for its machine is its state directory and HOME."""

    lease_seconds = LEASE_SECONDS
    """From its next start on."""

    @property
    def environment(self) -> dict[str, str]:
        """What the daemon, and a command line that works beside it, are started with."""
        home = self.home.root / "home"
        home.mkdir(exist_ok=True)
        found = super().environment
        return found | {
            "HOME": str(home),
            "PATH": f"{self.programs}:{found['PATH']}",
            "STRATAVORE_HOST_LEASE_SECONDS": str(self.lease_seconds),
        }

    @property
    def programs(self) -> Path:
        """Where this host looks for programs first."""
        return self.home.root / "programs"

    def freeze(self) -> None:
        """Stop the daemon as a machine that swaps does: its agents live, its lease runs out."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


class Hosts:
    """Makes hosts. They share the servers, a namespace and a database, and a directory that all of them see."""

    def __init__(self, directory: Path, *, temporal: str, namespace: str, dsn: str, rabbitmq: str | None) -> None:
        self._directory = directory
        self._temporal = temporal
        self._dsn = dsn
        self._rabbitmq = rabbitmq
        self._namespace = namespace
        self.made: list[HostProcess] = []
        self.lease_seconds = LEASE_SECONDS
        """Of hosts that are made from now on."""
        self.shared = Path(mkdtemp(dir=directory, prefix="shared"))
        """A directory that is there on all of them: for projects whose sessions go from one to another."""

    def new(self, name: str) -> HostProcess:
        """A host whose daemon is not started yet."""
        made = HostProcess(
            servers.new_home(self._directory),
            temporal=self._temporal,
            namespace=self._namespace,
            dsn=self._dsn,
            rabbitmq=self._rabbitmq,
            host=name,
        )
        made.lease_seconds = self.lease_seconds
        self.made.append(made)
        return made

    async def start(self, name: str) -> HostProcess:
        """A host whose daemon answers."""
        made = self.new(name)
        await made.start()
        return made

    async def away(self, host: HostProcess, *, by: HostProcess, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until a host counts as away, as another one shows it."""

        async def is_away() -> bool:
            return not (await self.shown(host, by=by))["up"]

        await answer(is_away, timeout, f"that {host.host} is away")

    async def back(self, host: HostProcess, *, by: HostProcess, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until a host counts as up, as another one shows it."""

        async def is_up() -> bool:
            return bool((await self.shown(host, by=by))["up"])

        await answer(is_up, timeout, f"that {host.host} is back")

    async def shown(self, host: HostProcess, *, by: HostProcess) -> dict[str, Any]:
        """A host as another one shows it."""
        (found,) = [one for one in (await by.call("show_resources"))["hosts"] if one["host"] == host.host]
        return dict(found)

    async def lose(self, host: HostProcess) -> None:
        """Let the lease of a host whose daemon was killed or frozen end soon: first for its agents, then for others."""
        fencing.shorten(host.home, sent=uptime(), seconds=LOST_SECONDS)
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(
                "UPDATE hosts SET lease_expires_at = least(lease_expires_at, now() + make_interval(secs => $2))"
                " WHERE name = $1",
                host.host,
                LOST_SECONDS,
            )
        finally:
            await connection.close()

    async def end(self) -> None:
        """End all daemons, and what ran for them."""
        for one in self.made:
            one.kill()
        for one in self.made:
            await guardian.clean(one.home)
        rmtree(self.shared, ignore_errors=True)


@asynccontextmanager
async def several(
    directory: Path, *, temporal: str, namespace: str, dsn: str, rabbitmq: str | None = None
) -> AsyncIterator[Hosts]:
    """Hosts that end with the block."""
    made = Hosts(directory, temporal=temporal, namespace=namespace, dsn=dsn, rabbitmq=rabbitmq)
    try:
        yield made
    finally:
        await made.end()
