"""That a host is away, and that it is back: told of every session that stands and falls with it, each time once.

That it is away needs nobody to say it (the view ``session_states`` shows its sessions so); these are the events.
"""

from collections.abc import Collection
from datetime import UTC
from uuid import UUID

from stratavore.events.envelope import EventType, NewEvent
from stratavore.store import hosts
from stratavore.store.database import Database
from stratavore.store.hosts import Absence, Dependent


async def tell_lost(database: Database) -> Absence | None:
    """Tell of one host whose lease ran out, if that is not told yet. Every daemon may ask; one of them tells it."""
    async with database.transaction("host.lost") as transaction:
        absence = await hosts.lost(transaction.connection)
        if absence is not None:
            sessions = await hosts.dependents(transaction.connection, absence.host)
            for one in sessions:
                transaction.emit(_unreachable(absence, one))
            transaction.emit(_alert(absence, "host-away", "warning", f"{_said(absence)}; {_told(len(sessions))}"))
    return absence


async def tell_found(database: Database, host: str, daemon_id: UUID, *, dead: Collection[str]) -> Absence | None:
    """End the absence of a host: its sessions are what they were. Only its own daemon does so, with a good lease.

    Args:
        database: where.
        host: which host.
        daemon_id: the daemon that renewed its lease.
        dead: its runners that are found dead: their end is told instead.
    """
    async with database.transaction("host.found") as transaction:
        absence = await hosts.found_again(transaction.connection, host, daemon_id)
        if absence is None:
            return None
        for one in await hosts.dependents(transaction.connection, host):
            transaction.emit(_unreachable(absence, one))  # nobody was there to tell it, if it is not told yet
            if one.runner_id not in dead:
                data = {"runner_id": one.runner_id, "host": host, "away_since": _at(absence)}
                key = f"{one.runner_id}/reachable/{_at(absence)}"
                transaction.emit(NewEvent(one.session_id, key, EventType.SESSION_REACHABLE, one.project, data))
        transaction.emit(_alert(absence, "host-back", "info", f"the host {host} is back"))
        await hosts.end_absence(transaction.connection, host)
    return absence


def _unreachable(absence: Absence, one: Dependent) -> NewEvent:
    return NewEvent(
        session_id=one.session_id,
        key=f"{one.runner_id}/unreachable/{_at(absence)}",
        type=EventType.SESSION_UNREACHABLE,
        project=one.project,
        data={
            "runner_id": one.runner_id,
            "host": absence.host,
            "away_since": _at(absence),
            "reason": _said(absence),
        },
    )


def _alert(absence: Absence, what: str, severity: str, message: str) -> NewEvent:
    data = {"severity": severity, "host": absence.host, "away_since": _at(absence), "message": message}
    return NewEvent(None, f"{what}/{absence.host}/{_at(absence)}", EventType.SYSTEM_ALERT, "", data)


def _said(absence: Absence) -> str:
    return f"the host {absence.host} has not been heard of since {absence.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _told(sessions: int) -> str:
    return (
        f"{sessions} session{'' if sessions == 1 else 's'} of it cannot be reached"
        if sessions
        else "no session lives there"
    )


def _at(absence: Absence) -> str:
    return absence.since.astimezone(UTC).isoformat()
