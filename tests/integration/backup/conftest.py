"""A database with something in it, an empty one, and the command line that saves and restores them."""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import asyncpg
import pytest

from stratavore.backup.tables import tables
from stratavore.paths import Home
from stratavore.store.connection import Connection
from tests.support import servers
from tests.support.command_line import CommandLine
from tests.support.stacks import Stack

CommandFor = Callable[..., CommandLine]


@pytest.fixture
async def empty(stack: Stack) -> AsyncIterator[str]:
    """The DSN of an empty database."""
    async with servers.own_database(stack) as dsn:
        yield dsn


@pytest.fixture
def command_for(home: Home, stack: Stack, tmp_path: Path) -> CommandFor:
    """Makes the command line that uses a database, and a namespace of Temporal that nobody has used."""

    def make(dsn: str, settings: Mapping[str, str] = MappingProxyType({})) -> CommandLine:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {
            "STRATAVORE_HOME": str(home.root),
            "STRATAVORE_CONFIG": os.devnull,
            "STRATAVORE_HOST": "build-1",
            "STRATAVORE_POSTGRES__DSN": dsn,
            "STRATAVORE_TEMPORAL__ADDRESS": stack.temporal_address,
            "STRATAVORE_TEMPORAL__NAMESPACE": f"unused-{uuid.uuid4().hex[:12]}",
            "STRATAVORE_RABBITMQ__ENABLED": "false",
        }
        return CommandLine(kept | own | dict(settings), tmp_path)

    return make


async def begin(connection: Connection, host: str = "build-1") -> str:
    """A project with a session whose runner runs, and an event. Returns the session's id."""
    project, session = str(uuid.uuid4()), str(uuid.uuid4())
    await connection.execute(
        "INSERT INTO hosts (name, daemon_id, state_directory, version, boot_id, lease_expires_at)"
        " VALUES ($1, gen_random_uuid(), gen_random_uuid(), '1', 'b', now() + interval '1 hour')"
        " ON CONFLICT DO NOTHING",
        host,
    )
    await connection.execute(
        "INSERT INTO projects (id, name, path, agent) VALUES ($1, $2, '/', 'claude')", project, f"p{project[:8]}"
    )
    await connection.execute(
        "INSERT INTO sessions"
        " (id, project_id, agent, agent_session_id, argv, cwd, state, generation, host, incarnation)"
        " VALUES ($1, $2, 'claude', 'its own', '{}', '/', 'running', 1, $3, 'i')",
        session,
        project,
        host,
    )
    await connection.execute(
        "INSERT INTO runners (id, session_id, generation, step, host, status) VALUES ($1, $2, 1, '1', $3, 'running')",
        f"{session}.1",
        session,
        host,
    )
    await connection.execute(
        "INSERT INTO admissions (session_id, project_id, granted_at) VALUES ($1, $2, now())", session, project
    )
    await connection.execute(
        "INSERT INTO events (id, session_id, sequence, key, type, project, time, data, signature)"
        " VALUES (gen_random_uuid(), $1, 1, 'k', 'session.created', 'p', now(), '{}', 's')",
        session,
    )
    await connection.execute(
        "INSERT INTO outbox (event_id, partition) SELECT id, 3 FROM events WHERE session_id = $1", session
    )
    return session


async def everything(dsn: str) -> dict[str, list[str]]:
    """All rows of all tables, as text."""
    connection = await asyncpg.connect(dsn)
    try:
        found = {}
        for table in await tables(connection):
            rows = await connection.fetch(f'SELECT one::text AS row FROM "{table.name}" AS one')
            found[table.name] = sorted(row["row"] for row in rows)
        return found
    finally:
        await connection.close()
