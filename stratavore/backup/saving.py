"""Making a backup: one snapshot of the database, and the secrets of this host. Nobody is stopped for it."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from stratavore import __version__
from stratavore.backup import tables
from stratavore.backup.archive import ENVIRONMENTS, FORMAT, KEY, Head, Writer
from stratavore.backup.database import connected
from stratavore.embedded.records import sync_directory
from stratavore.embedded.secrets import Secrets
from stratavore.errors import BackupExists, DatabaseEmpty
from stratavore.killpoints import effect
from stratavore.paths import Home
from stratavore.store.migrate import examine

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP})
"""What file systems without hard links say."""


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file for a backup (0600) that has its name once it is whole and on the disk; else there is none.

    Args:
        path: its name.
        force: replace what has that name.

    Raises:
        BackupExists: something has it.
        OSError: it cannot be written.
    """
    if not force and os.path.lexists(path):
        raise BackupExists(path=path)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            with effect("backup.write"):
                yield file  # type: ignore[misc]
                file.flush()
                os.fsync(file.fileno())
            with effect("backup.rename"):
                _give_name(temporary, path, force=force)
                sync_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


async def save(
    file: BinaryIO, home: Home, dsn: str, host: str, *, secrets: bool, progress: Callable[[str], None]
) -> Head:
    """Write a backup.

    Args:
        file: where to, from its beginning to its end.
        home: whose secrets are saved.
        dsn: the database.
        host: this host's name.
        secrets: also what must be kept secret: the environments of sessions, and the key that events are signed with.
        progress: is told what is being saved.

    Raises:
        DatabaseEmpty: no daemon has used the database yet.
        ServerAway, RightsMissing, DatabaseMissing, OtherSchema: it cannot be read.
        OSError: the file cannot be written.
    """
    async with connected(dsn) as connection:
        found = await examine(connection, dsn)
        if found.schema is None:
            raise DatabaseEmpty(database=found.database)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            saved = await tables.tables(connection)
            head = Head(
                format=FORMAT,
                version=__version__,
                schema_version=await connection.fetchval(tables.SQL.schema),
                at=await connection.fetchval(tables.SQL.now),
                host=host,
                tables=saved,
                sequences=await tables.sequences(connection),
            )
            archive = Writer(file, head)
            if secrets:
                sessions = [row["id"] for row in await connection.fetch(tables.SQL.sessions)]
                _save_secrets(archive, home, sessions)
            for table in saved:
                progress(f"saving {table.name} …")
                await tables.save(connection, archive, table)
            archive.finish()
    return head


def _save_secrets(archive: Writer, home: Home, sessions: list[str]) -> None:
    """Those of the sessions in the snapshot. A session's environment is there before the session is."""
    found = Secrets.found(home)
    if found is not None:
        archive.add(KEY, found.event_signing_key.encode())
    for session in sessions:
        try:
            archive.add(f"{ENVIRONMENTS}{session}", home.session_environment(session).read_bytes())
        except FileNotFoundError:
            continue  # it is of another host, or its project was deleted since


def _give_name(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        temporary.replace(path)
        return
    try:
        try:
            os.link(temporary, path)  # unlike a rename, it never replaces
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _replace_own(temporary, path)
    except FileExistsError:
        raise BackupExists(path=path) from None


def _replace_own(temporary: Path, path: Path) -> None:
    """Where a file has one name only, as on FAT: the name is taken by an empty file, which this one then replaces."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        temporary.replace(path)
    except OSError:
        path.unlink()
        raise
