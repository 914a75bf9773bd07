"""Bringing a backup back onto a host where nothing runs, and into a database that has no session.

The database comes last, and in one transaction: until it has committed there is nothing, and all of it can be repeated.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stratavore.addresses import shown
from stratavore.backup import tables
from stratavore.backup.archive import Head, Reader
from stratavore.backup.database import connected
from stratavore.backup.tables import Connection
from stratavore.backup.way import end_or_refuse_agents, put_aside, refuse_workflows
from stratavore.config.settings import Settings
from stratavore.daemon_lock import DaemonLock
from stratavore.embedded.records import sync_directory, write_private
from stratavore.embedded.secrets import Secrets
from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import BackupUnfit, DaemonInTheWay, DaemonRunning, DatabaseInUse, NoSuchHost
from stratavore.killpoints import effect
from stratavore.naming import plural
from stratavore.paths import Home
from stratavore.store.migrate import Found, examine, known_schemas, migrate


@dataclass(frozen=True)
class Restored:
    """What was done."""

    head: Head
    projects: int
    sessions: int
    replaced: str | None
    """The host in whose place this one is now."""
    elsewhere: tuple[str, ...]
    """Other hosts that have sessions, which wait for them."""
    aside: Path | None
    """Where what was in the state directory is now."""


async def restore(
    backup: Reader,
    home: Home,
    settings: Settings,
    *,
    replaces: str | None,
    end_agents: bool,
    progress: Callable[[str], None],
) -> Restored:
    """Bring a backup back.

    Args:
        backup: verified.
        home: the state directory, in which nothing may run.
        settings: of this host: its name, and the servers.
        replaces: the host whose place it takes; None: that of the only one which has sessions, if there is one, and
            this host did not make the backup.
        end_agents: end the agents that live here.
        progress: is told what is being done.

    Raises:
        BackupUnfit, BackupDamaged: the backup cannot be restored with this version.
        DaemonInTheWay, AgentsInTheWay, WorkflowsInTheWay, DatabaseInUse: something would be harmed by it.
        NoSuchHost: no session is on the host that is to be replaced.
        StratavoreError: a server cannot be started or reached.
    """
    head = backup.head
    if head.schema_version not in known_schemas():
        reason = f"its schema is {head.schema_version}, which this version does not know"
        raise BackupUnfit(path=backup.path, reason=reason, version=head.version)
    home.create()
    _alone(home)
    progress("looking whether anything is in the way …")
    await end_or_refuse_agents(home, end_agents=end_agents)
    await refuse_workflows(settings)
    stack = EmbeddedStack(home, settings)
    await stack.start_database(progress)
    async with connected(stack.postgres_dsn) as connection:
        found = await examine(connection, stack.postgres_dsn)
        if found.schema is not None:
            await _check_empty(connection, found, stack.postgres_dsn)
            if found.schema != head.schema_version:
                reason = (
                    f"its schema is {head.schema_version}, and the database has {found.schema} already: name a new one"
                )
                raise BackupUnfit(path=backup.path, reason=reason, version=head.version)
    await stack.stop_temporal()
    aside = put_aside(home, temporal=not settings.temporal.address)
    _restore_secrets(backup, home)
    await migrate(stack.postgres_dsn, head.schema_version)
    async with connected(stack.postgres_dsn) as connection:
        with effect("restore.commit"):
            async with connection.transaction():
                await connection.execute(tables.SQL.lock)
                await _check_empty(connection, found, stack.postgres_dsn)
                with effect("restore.fill"):
                    await tables.fill(connection, backup, progress)
                hosts = [row["host"] for row in await connection.fetch(tables.SQL.hosts)]
                old = _replaced(hosts, settings.host, replaces, made_on=head.host)
                if old is not None:
                    await tables.take_place(connection, old, settings.host)
                await connection.execute(tables.SQL.end_leases)
                await connection.execute(tables.SQL.recover, settings.host)
                write_private(home.restored_file, {"backup": str(backup.path), "at": head.at.isoformat()})
    await migrate(stack.postgres_dsn)
    rows = backup.contents.rows
    elsewhere = tuple(one for one in hosts if one not in (settings.host, old))
    return Restored(head, rows["projects"], rows["sessions"], old, elsewhere, aside)


def _replaced(hosts: list[str], host: str, named: str | None, *, made_on: str) -> str | None:
    """The host whose place this one takes; None: it has its own, as the one that made the backup does."""
    if named is not None and named not in hosts:
        raise NoSuchHost(host=named, hosts=", ".join(hosts) or "none")
    if named is None and len(hosts) == 1 and host != made_on:
        named = hosts[0]
    return named if named != host else None


def _alone(home: Home) -> None:
    """Be the state directory's only daemon until this process ends."""
    try:
        DaemonLock(home).take()
    except DaemonRunning as error:
        raise DaemonInTheWay(**error.details) from error


async def _check_empty(connection: Connection, found: Found, dsn: str) -> None:
    row = await connection.fetchrow(tables.SQL.in_use)
    assert row is not None
    if row["projects"] or row["sessions"]:
        has = f"{plural(row['projects'], 'project')} and {plural(row['sessions'], 'session')}"
        raise DatabaseInUse(database=found.database, address=shown(dsn), has=has)


def _restore_secrets(backup: Reader, home: Home) -> None:
    """They do no harm without the sessions, so they come first: no session is ever without its environment."""
    with effect("restore.secrets"):
        if (key := backup.key()) is not None:
            Secrets.of(home).signing_with(key).write(home)
        for session, content in backup.environments():
            _write(home.session_environment(session), content)
        sync_directory(home.sessions)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.restored")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
