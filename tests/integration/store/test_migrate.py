"""A fresh database becomes one that the program works with: once, whoever starts first."""

import asyncio
import hashlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from stratavore.killpoints import VARIABLE
from stratavore.store import messages, runners, sessions, usage
from stratavore.store.connection import use_json
from stratavore.store.migrate import HEAD, MIGRATIONS, migrate
from stratavore.store.queries import load
from tests.support import servers
from tests.support.stacks import Stack

DOMAIN = servers.REPOSITORY / "stratavore"
QUERY_FILES = sorted(file for file in DOMAIN.rglob("*.sql") if MIGRATIONS not in file.parents)


@pytest.fixture
async def fresh(stack: Stack) -> AsyncIterator[str]:
    """The DSN of an empty database."""
    async with servers.own_database(stack) as dsn:
        yield dsn


@pytest.fixture
async def connection(database: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection to a migrated database."""
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def fetchval(dsn: str, statement: str) -> object:
    opened = await asyncpg.connect(dsn)
    try:
        return await opened.fetchval(statement)
    finally:
        await opened.close()


async def tables(dsn: str) -> object:
    return await fetchval(
        dsn, "SELECT array_agg(tablename ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'"
    )


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_process_that_dies_while_it_migrates_leaves_nothing_or_all(fresh: str, moment: str) -> None:
    program = "import asyncio, sys; from stratavore.store.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, fresh, env={**os.environ, VARIABLE: f"migrate.{moment}"}
    )
    assert await dying.wait() == -signal.SIGKILL
    assert await migrate(fresh) is (moment == "before")
    assert await fetchval(fresh, "SELECT version_num FROM alembic_version") == HEAD


async def test_a_fresh_database_is_migrated_and_then_left_alone(fresh: str) -> None:
    assert await migrate(fresh) is True
    assert await fetchval(fresh, "SELECT version_num FROM alembic_version") == HEAD
    made = await tables(fresh)
    assert isinstance(made, list)
    assert {"projects", "sessions", "runners", "admissions", "events", "outbox"} <= set(made)
    assert await migrate(fresh) is False
    assert await tables(fresh) == made


async def test_daemons_that_start_at_once_migrate_once(fresh: str) -> None:
    assert sorted(await asyncio.gather(*(migrate(fresh) for _ in range(4)))) == [False, False, False, True]
    assert await fetchval(fresh, "SELECT count(*) FROM alembic_version") == 1
    assert await locks(fresh) == 0


async def test_a_migration_that_fails_leaves_nothing_and_can_be_tried_again(fresh: str) -> None:
    await fetchval(fresh, "CREATE TABLE outbox (mine text)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(fresh)
    assert await tables(fresh) == ["outbox"]
    assert await locks(fresh) == 0
    await fetchval(fresh, "DROP TABLE outbox")
    assert await migrate(fresh) is True


async def test_a_database_of_the_first_version_keeps_what_it_holds(fresh: str) -> None:
    await asyncio.to_thread(upgrade, fresh, "0001")
    session, project = str(uuid.uuid4()), str(uuid.uuid4())
    opened = await asyncpg.connect(fresh)
    try:
        await opened.execute(f"""
            INSERT INTO projects (id, name, path, agent) VALUES ('{project}', 'site', '/', 'command');
            INSERT INTO sessions (id, project_id, agent, model, agent_session_id, argv, cwd, state, incarnation)
                VALUES ('{session}', '{project}', 'command', NULL, '{session}', '{{cat,-u}}', '/', 'running', 'run');
            INSERT INTO runners (id, session_id, generation, step, host, status, cost_usd, offsets)
                VALUES ('{session}.1', '{session}', 1, 'step', 'here', 'running', 1.25, '{{"log": 5}}');
            INSERT INTO usage VALUES ('{session}', 'msg_1', '{session}.1', NULL, now(), 1, 2, 3, 4, 1.25);
            INSERT INTO messages (session_id, message_id, at, role, text)
                VALUES ('{session}', 'm', now(), 'user', 'the words of before');
        """)
        assert await migrate(fresh) is True
        await use_json(opened)
        (view,) = await sessions.views(opened)
        assert (view.session_id, view.cost_usd, view.unpriced_tokens) == (session, 1.25, 0)
        assert (await sessions.launched_with(opened, session)).argv == ("cat", "-u")
        (runner,) = await runners.live_of_host(opened, "here")
        assert runner.followed.hooks_read == 0
        (found,) = await messages.search(opened, "words")
        assert found.session_id == session
        (model,) = await usage.by_model(opened, session)
        assert (model.input_tokens, model.cost_usd) == (1, 1.25)
        assert await opened.fetchval("SELECT limit_used('max_tokens_per_day', NULL)") == 10
    finally:
        await opened.close()


def upgrade(dsn: str, revision: str) -> None:
    """As the program does it, but not to the newest."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["dsn"] = dsn
    command.upgrade(config, revision)


async def locks(dsn: str) -> object:
    return await fetchval(
        dsn,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )


def test_the_program_asks_for_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    newest = max((MIGRATIONS / "versions").glob("[0-9]*.sql"))
    assert newest.name.startswith(f"{HEAD}_")


RELEASED = {
    "0001_path.sql": "165b3f917b4d6f6b7dee987e0a8139be76a6b94bf7d767f2cd348094681ce781",
    "0002_conversations.sql": "11d970dbf66e8fea83d182db5110ddc894e2e457af174a9168d3e7264d2193b4",
    "0003_limits.sql": "983136ce410ba5cec82e465808f434accf7c6f3650d4d6457bc97a020842f1a6",
    "0004_hosts.sql": "e949542e869af1e3dab1cc83b37088dfd5a2bf83b8a37408d04ca22975215428",
    "0005_failover.sql": "85f6a199dfbbe156c417ab2191f6d66d597044df3aa8e56f01aa81bd001eb62d",
}
"""Databases have been made with these: what they did is never changed, only added to by the next one."""


def test_migrations_that_databases_were_made_with_never_change() -> None:
    for name, digest in RELEASED.items():
        assert hashlib.sha256((MIGRATIONS / "versions" / name).read_bytes()).hexdigest() == digest, name


def test_every_migration_has_its_statements_beside_it() -> None:
    versions = MIGRATIONS / "versions"
    python = {file.stem for file in versions.glob("[0-9]*.py")}
    assert python == {file.stem for file in versions.glob("*.sql")}
    assert python


@pytest.mark.parametrize("file", QUERY_FILES, ids=lambda file: str(file.relative_to(DOMAIN)))
async def test_postgres_understands_every_statement(
    file: Path, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    queries = load(str(file.with_suffix(".py")))
    assert queries
    for statement in queries.values():
        await connection.prepare(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = '{}'",
        "DELETE FROM events",
        "INSERT INTO events SELECT * FROM events ON CONFLICT (id) DO UPDATE SET type = 'forged'",
    ],
)
async def test_events_are_append_only(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> None:
    await connection.execute(
        "INSERT INTO events (id, sequence, key, type, project, time, data, signature)"
        " VALUES (gen_random_uuid(), 0, 'a', 'system.alert', '', now(), '{}', '')"
    )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="events are append-only"):
        await connection.execute(statement)
    assert await connection.fetchval("SELECT type FROM events") == "system.alert"
