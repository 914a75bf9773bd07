"""RabbitMQ as a private child of any user, with an ``epmd`` of its own, started first and stopped last.

RabbitMQ needs ``epmd``, Erlang's name server, and starts one that outlives it when it finds none.
"""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.process import Command
from stratavore.embedded.server import Server, which
from stratavore.errors import ServerMissing
from stratavore.paths import Home, private_directory

USER = "stratavore"
ERL_ARGUMENTS = (
    "-kernel inet_dist_use_interface {127,0,0,1}"
    " +sbwt none +sbwtdcpu none +sbwtdio none"  # no spinning while idle
)
INSTALL_HINT = "Install it, for example with: sudo apt-get install rabbitmq-server; until then events wait in Postgres"


def find_server() -> Path | None:
    """The start script itself; the one that Debian has on PATH switches to another user."""
    return which(
        "rabbitmq-server",
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
        "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    )


def find_epmd() -> Path | None:
    """Erlang's name server."""
    return which("epmd", "/usr/lib/erlang/bin/epmd")


class EpmdServer(Server):
    """The name server that this RabbitMQ alone uses."""

    name = "epmd"
    title = "epmd"
    main_port = "epmd"

    def __init__(self, home: Home) -> None:
        super().__init__(home, {"epmd": 0})

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Make its directory, which is all it has."""
        private_directory(self.directory)

    def command(self, ports: Mapping[str, int]) -> Command:
        """In the foreground, on the loopback address."""
        epmd = find_epmd()
        if epmd is None:
            raise ServerMissing(server="Erlang", reason="there is no program epmd", hint=INSTALL_HINT)
        return Command(
            argv=[str(epmd), "-port", str(ports["epmd"]), "-address", LOOPBACK],
            cwd=self.directory,
            environment=self.environment(),
        )

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Listening is all it does."""
        return True

    def url(self, ports: Mapping[str, int]) -> str:
        """Its address."""
        return f"{LOOPBACK}:{ports['epmd']}"


class RabbitmqServer(Server):
    """One node with the management pages."""

    name = "rabbitmq"
    title = "RabbitMQ"
    main_port = "amqp"
    stop_grace = 20

    def __init__(self, home: Home, password: str = "", port: int = 0, management_port: int = 0) -> None:
        super().__init__(home, {"amqp": port, "management": management_port, "distribution": 0})
        self._password = password
        self.epmd_port = 0

    def missing(self) -> str | None:
        """What to install, if it is not installed."""
        return None if find_server() and find_epmd() else INSTALL_HINT

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Write its configuration anew, so that ports and password are those of now."""
        private_directory(self.directory)
        (self.directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        definitions = self.directory / "definitions.json"
        _write_private(definitions, json.dumps(self._definitions()))
        _write_private(
            self.directory / "rabbitmq.conf",
            f"""\
listeners.tcp.local = {LOOPBACK}:{ports["amqp"]}
management.tcp.ip = {LOOPBACK}
management.tcp.port = {ports["management"]}
load_definitions = {definitions}
loopback_users = none
disk_free_limit.absolute = 50MB
log.file = false
log.console = true
log.console.level = warning
""",
        )

    def command(self, ports: Mapping[str, int]) -> Command:
        """As if under systemd: then the process started is the virtual machine, and SIGTERM stops it."""
        server = find_server()
        if server is None:
            raise ServerMissing(server=self.title, reason="there is no program rabbitmq-server", hint=INSTALL_HINT)
        return Command(
            argv=[str(server)],
            cwd=self.directory,
            environment=self.environment(
                RABBITMQ_NODENAME="stratavore@localhost",
                RABBITMQ_CONFIG_FILE=str(self.directory / "rabbitmq.conf"),
                RABBITMQ_CONF_ENV_FILE=os.devnull,
                RABBITMQ_ENABLED_PLUGINS_FILE=str(self.directory / "enabled_plugins"),
                RABBITMQ_MNESIA_BASE=str(self.directory / "mnesia"),
                RABBITMQ_LOG_BASE=str(self.home.logs),
                RABBITMQ_DIST_PORT=str(ports["distribution"]),
                RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=ERL_ARGUMENTS,
                RUNNING_UNDER_SYSTEMD="true",
                ERL_EPMD_PORT=str(self.epmd_port),
                ERL_EPMD_ADDRESS=LOOPBACK,
                ERL_CRASH_DUMP=str(self.directory / "erl_crash.dump"),
            ),
        )

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Say hello in AMQP 0-9-1; the answer is a method frame (Connection.Start)."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(LOOPBACK, ports["amqp"])
                try:
                    writer.write(b"AMQP\x00\x00\x09\x01")
                    return await reader.readexactly(1) == b"\x01"
                finally:
                    writer.close()
        except (OSError, EOFError):
            return False

    def url(self, ports: Mapping[str, int]) -> str:
        """The AMQP URL with user and password."""
        return f"amqp://{USER}:{self._password}@{LOOPBACK}:{ports['amqp']}/"

    def ui(self, ports: Mapping[str, int]) -> str:
        """The management pages."""
        return f"http://{LOOPBACK}:{ports['management']}"

    def _definitions(self) -> dict[str, object]:
        """Loaded at every start: so the password is right even where an older directory is found."""
        salt = os.urandom(4)
        digest = hashlib.sha256(salt + self._password.encode()).digest()
        user = {
            "name": USER,
            "password_hash": base64.b64encode(salt + digest).decode(),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "administrator",
        }
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        return {
            "vhosts": [{"name": "/"}],
            "users": [user],
            "permissions": [{"user": USER, "vhost": "/", **everything}],
        }


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
