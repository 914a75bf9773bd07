"""All checks, at once. One that fails or takes too long is a problem itself, and holds up no other."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

from temporalio.client import Client

from stratavore import connect
from stratavore.health import host as of_host
from stratavore.health import servers
from stratavore.health.servers import Broker
from stratavore.models.findings import Health, Part, PartState
from stratavore.naming import plural
from stratavore.paths import Home
from stratavore.store import runners, transcripts
from stratavore.store.connection import Connection
from stratavore.store.database import Database

CHECK_SECONDS = 8.0
_HINTS = {"temporal": "See: stratavore daemon status", "postgres": "See: stratavore daemon status"}


async def look(
    home: Home, host: str, database: Database, client: Client, broker: Broker | None, *, daemon: bool
) -> Health:
    """Check everything.

    Args:
        home: of which state directory.
        host: this machine's name.
        database: Postgres.
        client: of Temporal.
        broker: the daemon's connection to RabbitMQ; None: there is to be none, or this is no daemon.
        daemon: whether this is the host's daemon.
    """

    def asking(ask: Callable[[Connection], Awaitable[Part | Sequence[Part]]]) -> Awaitable[Part | Sequence[Part]]:
        async def with_connection() -> Part | Sequence[Part]:
            async with database.pool.acquire() as connection:
                return await ask(connection)

        return with_connection()

    wanted: dict[str, Awaitable[Part | Sequence[Part]]] = {
        "temporal": servers.temporal(client, host),
        "postgres": asking(servers.postgres),
        "events": asking(lambda connection: servers.events(connection, broker, daemon=daemon)),
        "lease": asking(lambda connection: of_host.lease(home, connection, host)),
        "disk": of_host.disk(home),
        "tmux": of_host.tmux(home),
        "agents": asking(of_host.agents),
        "conversations": asking(_conversations),
    }
    answers = await asyncio.gather(*(_guarded(name, check) for name, check in wanted.items()))
    parts = [_daemon(host, there=daemon), *(one for answer in answers for one in answer)]
    return Health(healthy=all(one.state is not PartState.PROBLEM for one in parts), parts=tuple(parts))


async def _guarded(name: str, check: Awaitable[Part | Sequence[Part]]) -> Sequence[Part]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            answer = await check
    except Exception as error:
        failure = connect.failure(error) or error
        reason = f"no answer in {CHECK_SECONDS:.0f} s" if isinstance(error, TimeoutError) else str(failure)
        hint = _HINTS.get(name, "")
        return (Part(name=name, state=PartState.PROBLEM, detail=reason.rstrip("."), hint=hint),)
    return (answer,) if isinstance(answer, Part) else answer


def _daemon(host: str, *, there: bool) -> Part:
    if there:
        figures: dict[str, float | int | str | None] = {"pid": os.getpid(), "host": host}
        return Part(
            name="daemon", state=PartState.OK, detail=f"process {os.getpid()} serves the host {host}", figures=figures
        )
    hint = "Start it with: stratavore daemon start. Agents go on without it"
    return Part(name="daemon", state=PartState.PROBLEM, detail=f"it does not answer on the host {host}", hint=hint)


async def _conversations(connection: Connection) -> list[Part]:
    """Files that were not understood, as ``status`` says; and those of lost hosts that could not be read since."""
    hint = "Update Stratavore: the agent is of a version that writes other files"
    found = [
        Part(name="conversations", state=PartState.WARNING, detail=one, hint=hint)
        for one in await transcripts.health(connection)
    ]
    for host, count in (await runners.uncounted(connection)).items():
        detail = (
            f"what {plural(count, 'runner')} wrote while {host} was lost is not counted: it could not be read there"
        )
        hint = "Which and why: stratavore events list 'system.alert.#'. They are asked for again every few minutes"
        found.append(Part(name="conversations", state=PartState.WARNING, detail=detail, hint=hint))
    well = Part(name="conversations", state=PartState.OK, detail="all that agents wrote lately was understood")
    return found or [well]
