"""A daemon with no more rights than the guide gives it, on servers that an administrator prepared."""

import uuid

import asyncpg
import pytest

from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import RightsMissing
from stratavore.paths import Home
from stratavore.servers import database as preparation
from stratavore.servers import trials
from stratavore.store import migrate as migration
from tests.integration.servers.conftest import Postgres
from tests.integration.servers.test_temporal import API_KEY, OF_ADMINISTRATORS
from tests.support import guide
from tests.support.certificates import Certificates
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.postgres_front import PostgresFront
from tests.support.temporal_front import TemporalFront


def as_owner(role: str) -> str:
    """What the guide lets the owner of the database run, for this role."""
    (_, granted) = guide.blocks("deployment", "sql")
    return granted.replace("stratavore_run", role)


async def test_a_daemon_runs_sessions_with_the_rights_of_the_guide(
    stack: EmbeddedStack, namespace: str, postgres: Postgres, certificates: Certificates, home: Home
) -> None:
    async with (
        postgres.role() as owner,
        postgres.role() as runs,
        postgres.database(owner=owner) as name,
        PostgresFront.before(postgres.dsn(name, runs), certificates.server.server_context(certificates.ca)) as database,
        TemporalFront.before(
            stack.temporal_address,
            certificates.server,
            client_ca=certificates.ca,
            api_key=API_KEY,
            denied=OF_ADMINISTRATORS,
        ) as temporal,
    ):
        await postgres.execute("CREATE EXTENSION vector", name)
        await preparation.prepare(postgres.dsn(name, owner))
        await as_role(postgres.dsn(name, owner), as_owner(runs))
        client = certificates.client
        daemon = DaemonProcess(
            home,
            temporal=temporal.address,
            namespace=namespace,
            dsn=database.dsn(
                sslmode="verify-full", sslrootcert=certificates.ca, sslcert=client.cert, sslkey=client.key
            ),
            rabbitmq=None,
            host=f"h-{uuid.uuid4().hex[:8]}",
        )
        own = {
            "STRATAVORE_TEMPORAL__CA": str(certificates.ca),
            "STRATAVORE_TEMPORAL__CERT": str(client.cert),
            "STRATAVORE_TEMPORAL__KEY": str(client.key),
            "STRATAVORE_TEMPORAL__API_KEY": API_KEY,
        }
        try:
            await daemon.start(settings=own)
            cli = CommandLine(daemon.environment | own, home.root)
            await cli.done("new", "site", "--path", str(home.root), "--", "cat")
            await cli.done("launch", "site")
            assert [one["state"] for one in await cli.json("sessions")] == ["running"]
            steps = await cli.json("setup")
            assert {step["state"] for step in steps} == {"found"}
            assert {step["server"] for step in steps} == {"database", "temporal"}
            found = await cli.json("test")
            assert {(one["server"], one["check"]): one["ok"] for one in found} == dict.fromkeys(CHECKS, True)
        finally:
            daemon.kill()
        assert database.plain == 0
        # Also what it may not do is as the guide says.
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await as_role(postgres.dsn(name, runs), "CREATE TABLE mine (a int)")
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await as_role(postgres.dsn(name, runs), "DELETE FROM events")


CHECKS = [
    ("database", "connect"),
    ("database", "schema"),
    ("database", "write"),
    ("database", "notify"),
    ("messaging", "connect"),
    ("temporal", "connect"),
    ("temporal", "namespace"),
    ("temporal", "workers"),
    ("api", "socket"),
]


async def test_a_role_that_may_only_run_says_so_when_the_schema_is_not_there(postgres: Postgres) -> None:
    async with postgres.role() as runs, postgres.database() as name:
        await postgres.execute("CREATE EXTENSION vector", name)
        with pytest.raises(RightsMissing, match="permission denied for schema public"):
            await migration.migrate(postgres.dsn(name, runs))


async def test_a_role_that_lacks_rights_on_tables_is_told_which(database: str, postgres: Postgres) -> None:
    name = database.rpartition("/")[2]
    async with postgres.role() as runs:
        await postgres.execute(as_owner(runs), name)
        await postgres.execute(f"REVOKE UPDATE ON sessions FROM {runs}", name)
        *_, last = [trial async for trial in trials.database(postgres.dsn(name, runs))]
        assert (last.check, last.ok) == ("write", False)
        assert last.detail.startswith("The role may not change sessions. See 'Rights'")
        await postgres.execute(f"DROP OWNED BY {runs}", name)


async def as_role(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
