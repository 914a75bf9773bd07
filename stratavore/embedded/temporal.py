"""Temporal's development server on one file: Web UI included, synchronous commits."""

import os
from collections.abc import Mapping
from pathlib import Path

from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.process import Command
from stratavore.embedded.server import Server, which
from stratavore.errors import ServerMissing
from stratavore.paths import Home, private_directory


def cache_directory() -> Path:
    """Where ``make up`` keeps programs: ``$XDG_CACHE_HOME/stratavore``, else ``~/.cache/stratavore``."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "stratavore"


def find_binary(named: str | None = None) -> Path | None:
    """The ``temporal`` program: the one named, else one on PATH, else the one that ``make up`` installed."""
    if named:
        return which(named, Path(named).expanduser())
    installed = cache_directory() / "bin/temporal"
    return which("temporal") or (installed if os.access(installed, os.X_OK) else None)


class TemporalServer(Server):
    """The development server with a file database."""

    name = "temporal"
    title = "Temporal"
    main_port = "grpc"

    def __init__(
        self, home: Home, port: int = 0, ui_port: int = 0, binary: str | None = None, namespace: str = "default"
    ) -> None:
        super().__init__(home, {"grpc": port, "ui": ui_port})
        self._binary = binary
        self._namespace = namespace

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Make the directory of the database."""
        private_directory(self.directory)

    def command(self, ports: Mapping[str, int]) -> Command:
        """The flags; synchronous FULL, since NORMAL can lose acknowledged commits on power loss."""
        binary = find_binary(self._binary)
        if binary is None:
            raise ServerMissing(
                server=self.title,
                reason=f"there is no program {self._binary or 'temporal'}",
                hint="Run: make up, or name the program with STRATAVORE_TEMPORAL__BINARY",
            )
        flags = {
            "--ip": LOOPBACK,
            "--port": str(ports["grpc"]),
            "--ui-port": str(ports["ui"]),
            "--db-filename": str(self.directory / "temporal.db"),
            "--log-level": "error",
        }
        return Command(
            argv=[
                str(binary),
                *("server", "start-dev", "--headless=false"),
                *(part for flag in flags.items() for part in flag),
                *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL"),
            ],
            cwd=self.directory,
            environment=self.environment(),
        )

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Ask its health service."""
        # Takes most of a second to import, and only who starts servers needs it.
        from temporalio.client import Client
        from temporalio.service import RPCError

        try:
            client = await Client.connect(self.url(ports))
            return await client.service_client.check_health()
        except (RPCError, RuntimeError):
            return False

    def url(self, ports: Mapping[str, int]) -> str:
        """Address of the front end."""
        return f"{LOOPBACK}:{ports['grpc']}"

    def ui(self, ports: Mapping[str, int]) -> str:
        """The Web UI where it lists our workflows; by itself it opens an empty namespace."""
        return f"http://{LOOPBACK}:{ports['ui']}/namespaces/{self._namespace}/workflows"
