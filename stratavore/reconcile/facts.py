"""What everyone says, at about one moment."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client

from stratavore import naming
from stratavore.models.states import SessionState
from stratavore.reconcile import behind
from stratavore.reconcile.behind import Ahead
from stratavore.reconcile.here import Here, Seen
from stratavore.reconcile.temporal import Closed, Known, Open, all_closed, all_known, open_sessions
from stratavore.store import reconcile
from stratavore.store.database import Database


@dataclass(frozen=True)
class Facts:
    """What is to be compared.

    The host is looked at before Postgres: what has begun since is not taken for a stranger.
    """

    at: datetime
    host: str
    seen: Seen | None
    """None: nobody here may look at the host."""
    recorded: reconcile.Recorded
    open: dict[str, Open]
    """Sessions with an open workflow."""
    closed: dict[str, Closed]
    """Sessions that have not ended, and whose workflow has."""
    changed: dict[str, datetime]
    """Unknown run directories, by their last change."""
    ahead: dict[str, Ahead]
    """Sessions of this host that Postgres may be behind."""
    strangers: dict[str, Known]
    """Sessions without a row that have an open workflow."""


async def gather(client: Client, database: Database, host: str, here: Here | None) -> Facts:
    """Look at everything once.

    Raises:
        RPCError, asyncpg.PostgresError, OSError: somebody does not answer; then nothing can be compared.
    """
    at = datetime.now(UTC)
    seen = await here.look() if here else None
    asked = seen.runner_ids if seen else set()
    found = await open_sessions(client)
    async with database.pool.acquire() as connection:
        recorded = await reconcile.read(
            connection, sorted(asked), sorted({*found, *(naming.session_of(one) for one in asked)})
        )
    # Searches know of a workflow a moment late: who seems to have none is asked for itself.
    live = {one.session_id for one in recorded.sessions.values() if one.state is not SessionState.ENDED}
    closed = await all_closed(client, sorted(live - found.keys()))
    missing = [one for one in found if one not in recorded.sessions and one not in recorded.strangers]
    strangers = await all_known(client, missing)
    ahead = await _ahead(client, here, seen, recorded) if here and seen else {}
    changed: dict[str, datetime] = {}
    if here and seen:
        strange = sorted((recorded.unknown & seen.directories) - seen.living)
        changed = await asyncio.to_thread(_changes, here, strange)
    return Facts(at, host, seen, recorded, found, closed, changed, ahead, strangers)


async def _ahead(client: Client, here: Here, seen: Seen, recorded: reconcile.Recorded) -> dict[str, Ahead]:
    suspected = dict(behind.suspects(seen, recorded))
    began = await asyncio.to_thread(lambda: {one: n for one, n in suspected.items() if here.began(f"{one}.{n}")})
    known = await all_known(client, began)
    return {one: Ahead(n, here.agent_lives(f"{one}.{n}"), known[one]) for one, n in began.items()}


def _changes(here: Here, runner_ids: list[str]) -> dict[str, datetime]:
    changes: dict[str, datetime] = {}
    for runner_id in runner_ids:
        try:
            changes[runner_id] = here.last_change(runner_id)
        except OSError:
            continue  # removed meanwhile
    return changes
