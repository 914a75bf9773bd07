"""The embedded servers as the daemon sees them: start or adopt, keep alive, stop.

A server is started by: choose its ports and write them down, start it, write its process down. Dying between
any two of these leaves either nothing or a process that is found again by its mark, together with its ports.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stratavore.addresses import shown
from stratavore.embedded.keeper import Keeper
from stratavore.embedded.postgres import PostgresServer, psql_command
from stratavore.embedded.rabbitmq import EpmdServer, RabbitmqServer
from stratavore.embedded.records import Record, Records
from stratavore.embedded.secrets import Secrets
from stratavore.embedded.server import Server
from stratavore.embedded.temporal import TemporalServer
from stratavore.errors import StratavoreError
from stratavore.paths import Home

if TYPE_CHECKING:  # takes half a second to import, which who only reads the records need not pay
    from stratavore.config.settings import Settings

LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class ServerInfo:
    """One server, for people."""

    name: str
    address: str
    pid: int | None
    state: str
    """``running``, ``starting``, ``missing``, ``stopped`` or ``external``."""
    detail: str = ""
    ui: str | None = None


def _silent(message: str) -> None:
    """Tell nobody."""


class EmbeddedStack:
    """Temporal, Postgres and RabbitMQ of one state directory, but those that the settings name elsewhere."""

    def __init__(self, home: Home, settings: "Settings | None") -> None:
        self._home = home
        self._records = Records(home.servers_file)
        self._settings = settings
        self._busy = asyncio.Lock()
        self._rabbitmq_detail = ""
        self._rabbitmq_failures = 0
        self._rabbitmq_not_before = 0.0
        self._externals: dict[str, Record] = {}
        if settings is None:
            self._temporal = TemporalServer(home)
            self._postgres = PostgresServer(home)
            self._rabbitmq = RabbitmqServer(home)
            self._rabbitmq_enabled = True
        else:
            home.create()
            secrets = Secrets.of(home)
            temporal, postgres, rabbitmq = settings.temporal, settings.postgres, settings.rabbitmq
            self._temporal = TemporalServer(home, temporal.port, temporal.ui_port, temporal.binary, temporal.namespace)
            self._postgres = PostgresServer(home, secrets.postgres_password, postgres.port, postgres.database)
            self._rabbitmq = RabbitmqServer(home, secrets.rabbitmq_password, rabbitmq.port, rabbitmq.management_port)
            self._rabbitmq_enabled = rabbitmq.enabled
            if temporal.address:
                self._externals["temporal"] = Record(temporal.address, temporal.ui_address)
            if postgres.dsn:
                self._externals["postgres"] = Record(postgres.dsn.get_secret_value())
            if rabbitmq.url:
                self._externals["rabbitmq"] = Record(rabbitmq.url.get_secret_value(), rabbitmq.management_url)
        self._epmd = EpmdServer(home)

    @classmethod
    def recorded(cls, home: Home) -> "EmbeddedStack | None":
        """What the last daemon wrote down, for who starts nothing: addresses, states, and :meth:`stop`."""
        stack = cls(home, None)
        return stack if stack._records else None

    @property
    def temporal_address(self) -> str:
        """Host and port of Temporal's front end."""
        return self._records["temporal"].url

    @property
    def temporal_ui(self) -> str:
        """The Web UI; empty if the server is somebody else's."""
        return self._records["temporal"].ui or ""

    @property
    def postgres_dsn(self) -> str:
        """The DSN with the password."""
        return self._records["postgres"].url

    @property
    def rabbitmq_url(self) -> str | None:
        """The AMQP URL with the password; None if there is no RabbitMQ."""
        return self._records["rabbitmq"].url or None

    @property
    def psql_command(self) -> str:
        """A line for the shell that opens the database; an external one's without its password."""
        record = self._records["postgres"]
        if record.external:
            return f"psql '{_without_password(record.url)}'"
        database = urlsplit(record.url).path.lstrip("/")
        return psql_command(self._home, record.ports["postgres"], database)

    @property
    def directories(self) -> list[Path]:
        """What holds data of this Stratavore: delete these, when it is stopped, and it is gone."""
        apart = self._postgres.directory
        return [self._home.root] if apart.is_relative_to(self._home.root) else [self._home.root, apart]

    async def start(self, progress: Callable[[str], None] = _silent) -> None:
        """Start or adopt every server; return when Temporal and Postgres are ready, RabbitMQ or not.

        Raises:
            StratavoreError: Temporal or Postgres cannot be started; says why.
        """
        async with self._busy:
            await self._leave_others()
            await self._keep_all(self._needed(), progress)

    async def start_database(self, progress: Callable[[str], None] = _silent) -> None:
        """Start or adopt Postgres alone; return when it is ready.

        Raises:
            StratavoreError: it cannot be started; says why.
        """
        async with self._busy:
            await self._leave_others()
            if "postgres" not in self._externals:
                await self._keep(self._postgres, progress)

    async def stop_temporal(self) -> None:
        """End Temporal, if it is ours."""
        async with self._busy:
            await self._keeper(self._temporal).stop()

    async def ensure(self) -> None:
        """Start again whatever of ours has died, on the same ports; cheap when all live."""
        async with self._busy:
            assert self._settings is not None, "a stack that was only read has no passwords, and starts nothing"
            dead = [server for server in self._needed() if self._records[server.name].living() is None]
            await self._keep_all(dead, _silent)

    async def stop(self) -> None:
        """End every server of this state directory in order: whoever started it, recorded or not."""
        async with self._busy:
            servers = (self._temporal, self._postgres, self._rabbitmq)
            await asyncio.gather(*(self._keeper(server).stop() for server in servers))
            await self._keeper(self._epmd).stop()

    def servers(self) -> list[ServerInfo]:
        """All three, as they are now."""
        return [self._info(server) for server in (self._temporal, self._postgres, self._rabbitmq)]

    def _needed(self) -> list[Server]:
        return [server for server in (self._temporal, self._postgres) if server.name not in self._externals]

    def _keeper(self, server: Server) -> Keeper:
        return Keeper(server, self._records)

    async def _keep(self, server: Server, progress: Callable[[str], None]) -> None:
        await self._keeper(server).bring_up(progress)

    async def _keep_all(self, servers: list[Server], progress: Callable[[str], None]) -> None:
        """Bring these up and RabbitMQ on its way, all at once; one that fails does not hold the others up."""
        outcomes = await asyncio.gather(
            *(self._keep(server, progress) for server in servers),
            self._keep_rabbitmq(progress),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _leave_others(self) -> None:
        """Write the external addresses down; a server of ours that is not wanted any more is stopped."""
        for server in (self._temporal, self._postgres, self._rabbitmq):
            record = self._externals.get(server.name)
            if record is not None or (server is self._rabbitmq and not self._rabbitmq_enabled):
                await self._keeper(server).stop()
                self._records.put(server.name, record or Record())
        if not self._wants_rabbitmq():
            await self._keeper(self._epmd).stop()

    def _wants_rabbitmq(self) -> bool:
        return self._rabbitmq_enabled and "rabbitmq" not in self._externals

    async def _keep_rabbitmq(self, progress: Callable[[str], None]) -> None:
        """Start RabbitMQ if it does not live; neither waits for it nor fails, since nothing depends on it."""
        if not self._wants_rabbitmq():
            return
        self._rabbitmq_detail = self._rabbitmq.missing() or ""
        if self._rabbitmq_detail:
            progress(f"RabbitMQ is not installed. {self._rabbitmq_detail}.")
            return
        try:
            if self._records["epmd"].living() is None:
                await self._keep(self._epmd, _silent)
            self._rabbitmq.epmd_port = self._records["epmd"].ports["epmd"]
            await self._start_rabbitmq(progress)
        except (StratavoreError, OSError) as error:
            self._rabbitmq_detail = str(error)

    async def _start_rabbitmq(self, progress: Callable[[str], None]) -> None:
        process = self._records["rabbitmq"].living()
        if process is not None:
            if self._rabbitmq_failures and self._rabbitmq.listening(process, self._records["rabbitmq"].ports):
                self._rabbitmq_failures = 0
            return
        now = time.monotonic()
        if now < self._rabbitmq_not_before:
            return
        pause = min(LONGEST_PAUSE, 2.0**self._rabbitmq_failures)
        self._rabbitmq_failures += 1
        self._rabbitmq_not_before = now + pause
        await self._keeper(self._rabbitmq).start_or_find()
        progress("RabbitMQ starts in the background.")

    def _info(self, server: Server) -> ServerInfo:
        record = self._records[server.name]
        info = ServerInfo(server.name, shown(record.url) if record.url else "", None, "stopped", ui=record.ui)
        if record.external:
            return replace(info, state="external")
        process = record.living()
        if process is not None:
            ready = server.listening(process, record.ports)
            return replace(info, pid=process.pid, state="running" if ready else "starting")
        if server is not self._rabbitmq:
            return info
        if not self._rabbitmq_enabled:
            return replace(info, detail="switched off")
        missing = self._rabbitmq.missing()
        if missing:
            return replace(info, state="missing", detail=missing)
        return replace(info, detail=self._rabbitmq_detail)


def _without_password(dsn: str) -> str:
    parts = urlsplit(dsn)
    credentials, at, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=credentials.partition(":")[0] + at + place).geturl()
