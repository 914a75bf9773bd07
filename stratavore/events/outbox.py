"""Recording events in the transaction of the change that implies them.

A sequence number is taken under the lock of its session's row, which the transaction holds until it commits.
So numbers have no gaps, and of two events of a session the one with the smaller number is also the first to be
seen by anybody, and the first in the outbox.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4
from zlib import crc32

from stratavore.events.canonical import clean
from stratavore.events.envelope import EventRow, NewEvent
from stratavore.store.queries import load

if TYPE_CHECKING:
    from stratavore.store.connection import Connection

SQL = load(__file__)

PARTITIONS = 16
CHANNEL = "stratavore_outbox"
"""NOTIFY tells here which partitions got something: their numbers, with spaces between."""


def partition_of(session_id: str | None, project: str, type_: str) -> int:
    """The partition of a session, always the same; events about the system are spread by project and type."""
    return crc32((session_id or f"{project}/{type_}").encode()) % PARTITIONS


async def append(connection: "Connection", events: Sequence[NewEvent], *, key: bytes) -> list[EventRow]:
    """Record events within the caller's transaction, in the order given: two round trips for any number.

    Locks the sessions' rows in the order of their ids. Call it once, last in the transaction.

    Args:
        connection: One with an open transaction.
        events: What happened. An event whose cause is recorded already is left out.
        key: The key to sign with.

    Returns:
        The events that are new.

    Raises:
        LookupError: a session has no row.
        RuntimeError: there is no transaction.
    """
    if not connection.is_in_transaction():
        raise RuntimeError("events are recorded in the transaction of their change")
    wanted = _distinct(events)
    if not wanted:
        return []
    sessions = [event.session_id for event in wanted]
    begun = await connection.fetchrow(SQL.begin, sessions, [event.key for event in wanted])
    assert begun is not None
    sequences: dict[str, int] = dict(zip(begun["sessions"], begun["sequences"] or (), strict=True))
    if missing := {session for session in sessions if session} - sequences.keys():
        raise LookupError(f"no session has the id {min(missing)}")
    rows = []
    for position, event in enumerate(wanted, start=1):
        if position in begun["known"]:
            continue
        sequence = 0
        if event.session_id:
            sequence = sequences[event.session_id] = sequences[event.session_id] + 1
        row = EventRow(
            id=str(uuid4()),
            session_id=event.session_id,
            sequence=sequence,
            key=event.key,
            type=str(event.type),
            project=event.project,
            time=begun["moment"],
            data=clean(event.data),
        )
        rows.append(row.signed(key))
    return await _insert(connection, rows) if rows else []


def _distinct(events: Sequence[NewEvent]) -> list[NewEvent]:
    """Each cause once, ids in one spelling; those about the system last, by key: so no callers deadlock."""
    distinct: dict[tuple[str | None, str], NewEvent] = {}
    for event in events:
        session = str(UUID(event.session_id)) if event.session_id else None
        if (session, event.key) not in distinct:
            distinct[session, event.key] = NewEvent(session, event.key, event.type, event.project, event.data)
    of_sessions = [event for event in distinct.values() if event.session_id]
    of_system = [event for event in distinct.values() if not event.session_id]
    return of_sessions + sorted(of_system, key=lambda event: event.key)


async def _insert(connection: "Connection", rows: list[EventRow]) -> list[EventRow]:
    recorded = await connection.fetchval(
        SQL.append,
        [row.id for row in rows],
        [row.session_id for row in rows],
        [row.sequence for row in rows],
        [row.key for row in rows],
        [row.type for row in rows],
        [row.project for row in rows],
        [row.time for row in rows],
        [json.dumps(row.data) for row in rows],
        [row.signature for row in rows],
        [partition_of(row.session_id, row.project, row.type) for row in rows],
        CHANNEL,
    )
    ids = set(recorded)
    return [row for row in rows if row.id in ids]
