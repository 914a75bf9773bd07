"""Tables as a backup has them: ``COPY``'s text, which any version of Postgres writes and reads."""

from collections.abc import AsyncIterator, Callable, Iterator
from graphlib import TopologicalSorter
from typing import TypeAlias

import asyncpg

from stratavore.backup.archive import Reader, Table, TableWriter, Writer
from stratavore.errors import BackupDamaged, BackupUnfit
from stratavore.store.queries import load

SQL = load(__file__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def tables(connection: Connection) -> tuple[Table, ...]:
    """All of them, in an order in which they can be filled."""
    rows = {row["name"]: row for row in await connection.fetch(SQL.tables)}
    order = TopologicalSorter({name: sorted(row["needs"]) for name, row in rows.items()}).static_order()
    return tuple(Table(name=name, columns=tuple(rows[name]["columns"])) for name in order)


async def sequences(connection: Connection) -> dict[str, int]:
    """The last number that each gave out."""
    return {row["name"]: row["last_value"] for row in await connection.fetch(SQL.sequences)}


async def save(connection: Connection, archive: Writer, table: Table) -> None:
    """Write the rows of a table, as the connection's transaction sees them."""
    output = TableWriter(archive, table.name)
    done = await connection.copy_from_table(table.name, columns=table.columns, output=output.write)
    output.finish(_count(done))


async def fill(connection: Connection, backup: Reader, progress: Callable[[str], None]) -> None:
    """Replace what is in the tables by what the backup has. To be called in a transaction.

    Raises:
        BackupUnfit: it has other tables or columns.
        BackupDamaged: it has other rows than it says.
    """
    wanted, here = backup.head.tables, await tables(connection)
    if {one.name: set(one.columns) for one in wanted} != {one.name: set(one.columns) for one in here}:
        reason = f"its tables are not those of the schema {backup.head.schema_version} here"
        raise BackupUnfit(path=backup.path, reason=reason, version=backup.head.version)
    names = ", ".join(_quoted(one.name) for one in wanted)
    # Nothing but what daemons say of themselves is there, and even that is guarded against being taken away.
    for one in wanted:
        await connection.execute(f"ALTER TABLE {_quoted(one.name)} DISABLE TRIGGER USER")
    await connection.execute(f"TRUNCATE {names}")
    for one in wanted:
        progress(f"restoring {one.name} …")
        try:
            done = await connection.copy_to_table(one.name, columns=one.columns, source=_source(backup.rows(one.name)))
        except asyncpg.DataError as error:
            raise BackupDamaged(path=backup.path, reason=f"Postgres refuses rows of {one.name}: {error}") from error
        if _count(done) != backup.contents.rows[one.name]:
            raise BackupDamaged(path=backup.path, reason=f"rows of {one.name} are missing")
    for one in wanted:
        await connection.execute(f"ALTER TABLE {_quoted(one.name)} ENABLE TRIGGER USER")
    for name, last in backup.head.sequences.items():
        await connection.fetchval(SQL.continue_sequence, name, last)


async def take_place(connection: Connection, old: str, new: str) -> None:
    """Let what was on one host be on another."""
    for (table,) in await connection.fetch(SQL.with_host):
        await connection.execute(f"UPDATE {_quoted(table)} SET host = $2 WHERE host = $1", old, new)
    if await connection.fetchval(SQL.has_bound):
        await connection.execute(SQL.rebind, old, new)
    await connection.execute(SQL.forget_host, old)


async def _source(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _count(status: str) -> int:
    """Of ``COPY 7``."""
    return int(status.split()[-1])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
