"""What Postgres says of sessions, for comparing it with what others say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from stratavore.models.base import Model
from stratavore.models.states import SessionState
from stratavore.store import admission
from stratavore.store.connection import Connection
from stratavore.store.database import as_dict
from stratavore.store.queries import load

SQL = load(__file__)


class SessionRow(Model):
    """A session, as far as others know of it too."""

    session_id: str
    project_id: str
    project: str
    state: SessionState
    reason: str | None
    generation: int
    host: str | None
    incarnation: str
    updated_at: datetime


class RunnerRow(Model):
    """A runner. ``launched``: a process was shown for it."""

    runner_id: str
    session_id: str
    generation: int
    host: str
    launched: bool
    created_at: datetime
    ended_at: datetime | None


class SlotRow(Model):
    """A slot, or without ``granted_at`` a place in the line."""

    session_id: str
    granted_at: datetime | None


class HostRow(Model):
    """A host. ``away``: its lease ran out."""

    name: str
    renewed_at: datetime
    away: bool
    runners: int
    """Of it, that have not ended."""


@dataclass(frozen=True)
class Recorded:
    """Everything at one moment."""

    sessions: dict[str, SessionRow]
    runners: dict[str, RunnerRow]
    """Those that have not ended, and those asked for."""
    slots: dict[str, SlotRow]
    hosts: dict[str, HostRow]
    unknown: frozenset[str]
    """Of the runners asked for, those without a row."""
    strangers: Mapping[str, str] = field(default_factory=dict)
    """Sessions whose row is not understood, and why: nothing is concluded of them."""


async def read(connection: Connection, runner_ids: Sequence[str], session_ids: Sequence[str]) -> Recorded:
    """All that has not ended, and of the others those asked for."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        sessions = await connection.fetch(SQL.sessions, list(session_ids))
        runners = await connection.fetch(SQL.runners, list(runner_ids))
        slots = await connection.fetch(SQL.slots)
        hosts = await connection.fetch(SQL.hosts)
        strange = await unknown(connection, runner_ids)
    strangers: dict[str, str] = {}
    understood = {row["session_id"]: one for row in sessions if (one := _session(row, strangers))}
    return Recorded(
        sessions=understood,
        runners={row["runner_id"]: RunnerRow.model_validate(as_dict(row)) for row in runners},
        slots={
            row["session_id"]: SlotRow.model_validate(as_dict(row)) for row in slots if row["session_id"] in understood
        },
        hosts={row["name"]: HostRow.model_validate(as_dict(row)) for row in hosts},
        unknown=strange,
        strangers=strangers,
    )


def _session(row: asyncpg.Record, strangers: dict[str, str]) -> SessionRow | None:
    """One that is not understood is named, and holds up no other."""
    try:
        return SessionRow.model_validate(as_dict(row))
    except ValueError as error:
        strangers[row["session_id"]] = " ".join(str(error).split())
        return None


async def unknown(connection: Connection, runner_ids: Sequence[str]) -> frozenset[str]:
    """Of these runners, those without a row."""
    return frozenset(row["runner_id"] for row in await connection.fetch(SQL.unknown, list(runner_ids)))


async def session(connection: Connection, session_id: str) -> SessionRow | None:
    """One session; of a locked one, as it is."""
    row = await connection.fetchrow(SQL.session, session_id)
    return SessionRow.model_validate(as_dict(row)) if row else None


async def runner(connection: Connection, runner_id: str) -> RunnerRow | None:
    """One runner; of a locked session, as it is."""
    row = await connection.fetchrow(SQL.runner, runner_id)
    return RunnerRow.model_validate(as_dict(row)) if row else None


async def proven_over(connection: Connection, session_id: str, generation: int) -> bool:
    """Whether a runner is over for good. That nothing is known of its session proves nothing."""
    return bool(await connection.fetchval(SQL.proven_over, session_id, generation))


async def has_unended_runner(connection: Connection, session_id: str) -> bool:
    """Whether a runner of the session has no recorded end, launched or not."""
    return bool(await connection.fetchval(SQL.unended, session_id))


async def runs(connection: Connection, session_id: str) -> bool:
    """Whether the session is shown as running, by a runner that was launched and has not ended."""
    return bool(await connection.fetchval(SQL.runs, session_id))


async def take_slot(connection: Connection, session_id: str, project_id: str) -> bool:
    """Count the slot that a running session uses. Returns False if it was counted."""
    await admission.lock(connection)
    return await connection.fetchval(SQL.take_slot, session_id, project_id) is not None
