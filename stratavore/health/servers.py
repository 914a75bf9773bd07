"""Temporal, Postgres and RabbitMQ, as this process is connected to them."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from time import perf_counter
from typing import Protocol

from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from stratavore.models.findings import Part, PartState
from stratavore.servers import pollers
from stratavore.store import health
from stratavore.store.connection import Connection
from stratavore.store.migrate import HEAD

POLLED_SECONDS = 90.0
"""A worker asks for tasks again after a minute at the latest."""
LATE_SECONDS = 60.0
"""An event is delivered within a second, unless somebody is away."""
SKEW_SECONDS = 2.0
"""Leases and times of events are Postgres' own; the times of turns are the host's."""


class Broker(Protocol):
    """The connection of this process to RabbitMQ."""

    async def ready(self) -> None:
        """Make sure that there is a connection. Raises an exception if none can be made."""


async def temporal(client: Client, host: str) -> Part:
    """Whether it answers, and whether somebody works on the tasks of sessions and of this host."""
    began = perf_counter()
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    took = (perf_counter() - began) * 1000
    listed = await asyncio.gather(pollers.of_sessions(client), pollers.of_host(client, host))
    sessions, of_host = (_lately(those) for those in listed)
    figures: dict[str, float | int | str | None] = {
        "namespace": client.namespace,
        "round_trip_ms": round(took, 1),
        "session_workers": sessions,
        "host_workers": of_host,
    }
    detail = f"the namespace {client.namespace} answers in {took:.1f} ms"
    if not sessions or not of_host:
        whose = "sessions" if not sessions else f"the host {host}"
        return Part(
            name="temporal",
            state=PartState.PROBLEM,
            detail=f"{detail}, but nobody takes the tasks of {whose}",
            hint="Start the daemon: stratavore daemon start",
            figures=figures,
        )
    detail = f"{detail}; workers ask for tasks: {sessions} for sessions, {of_host} for this host"
    return Part(name="temporal", state=PartState.OK, detail=detail, figures=figures)


async def postgres(connection: Connection) -> tuple[Part, Part]:
    """Whether it answers with the schema of this version; and whether its clock and ours agree."""
    await connection.fetchval("SELECT 1")  # the first one prepares the statement
    began = perf_counter()
    await connection.fetchval("SELECT 1")
    took = (perf_counter() - began) * 1000
    before = datetime.now(UTC)
    found = await health.database(connection)
    asked = datetime.now(UTC) - before
    ahead = (before + asked / 2 - found.at).total_seconds()
    return _database(found, took), _clock(ahead, asked.total_seconds())


async def events(connection: Connection, broker: Broker | None, *, daemon: bool) -> tuple[Part, Part]:
    """Whether this process has a connection to RabbitMQ; and how long events have waited for it."""
    found = await health.outbox(connection)
    if broker is None:
        return _without_broker(daemon=daemon), _outbox(found, expected=not daemon)
    try:
        await broker.ready()
    except Exception as error:  # whatever it is, nothing can be published
        connected = Part(
            name="rabbitmq",
            state=PartState.PROBLEM,
            detail=f"there is no connection: {str(error) or type(error).__name__}",
            hint="See: stratavore daemon status. Events wait for it, and sessions do not",
        )
    else:
        connected = Part(name="rabbitmq", state=PartState.OK, detail="connected")
    return connected, _outbox(found, expected=True)


def _without_broker(*, daemon: bool) -> Part:
    if daemon:
        return Part(
            name="rabbitmq",
            state=PartState.OK,
            detail="the setting rabbitmq.enabled is false: this host sends no events",
        )
    hint = "Start it with: stratavore daemon start"
    return Part(name="rabbitmq", state=PartState.WARNING, detail="only a daemon is connected to it", hint=hint)


def _lately(those: Iterable[PollerInfo]) -> int:
    """How many workers asked for tasks lately."""
    now = datetime.now(UTC)
    asked = [one.last_access_time.ToDatetime(UTC) for one in those]
    return sum((now - one).total_seconds() < POLLED_SECONDS for one in asked)


def _database(found: health.DatabaseFacts, took: float) -> Part:
    size = found.bytes / 1024**2
    detail = f"version {found.version} answers in {took:.1f} ms; {size:.0f} MB, schema {found.schema_version}"
    fits = found.schema_version == HEAD
    return Part(
        name="postgres",
        state=PartState.OK if fits else PartState.PROBLEM,
        detail=detail if fits else f"{detail}, but this version needs {HEAD}",
        hint="" if fits else "Let one version run on all hosts; a daemon that starts brings the schema up to its own",
        figures={
            "round_trip_ms": round(took, 1),
            "megabytes": round(size, 1),
            "schema": found.schema_version,
            "version": found.version,
        },
    )


def _clock(ahead: float, asked: float) -> Part:
    """How far the clocks are apart at least: Postgres read its own at any of the moments that it was ``asked`` for."""
    ahead = max(0.0, ahead - asked / 2) + min(0.0, ahead + asked / 2)
    right = abs(ahead) <= SKEW_SECONDS
    which = "ahead of" if ahead > 0 else "behind"
    return Part(
        name="clock",
        state=PartState.OK if right else PartState.WARNING,
        detail=f"this host's clock is {abs(ahead):.2f} s {which} that of Postgres",
        hint="" if right else "Let both be set by NTP: timedatectl set-ntp true",
        figures={"ahead_s": round(ahead, 3)},
    )


def _outbox(found: health.OutboxFacts, *, expected: bool) -> Part:
    waits = f"{found.waiting} {'waits' if found.waiting == 1 else 'wait'}"
    detail = f"{waits}, the oldest for {found.oldest_s:.0f} s" if found.oldest_s is not None else "none waits"
    figures: dict[str, float | int | str | None] = {
        "waiting": found.waiting,
        "oldest_s": None if found.oldest_s is None else round(found.oldest_s, 1),
        "dead": found.dead,
    }
    if found.dead:
        return Part(
            name="events",
            state=PartState.PROBLEM,
            detail=f"{detail}; {found.dead} were refused by RabbitMQ and are kept",
            hint="See why: stratavore events list 'system.alert.#'; send them again with: stratavore events revive",
            figures=figures,
        )
    late = expected and found.oldest_s is not None and found.oldest_s > LATE_SECONDS
    return Part(
        name="events",
        state=PartState.PROBLEM if late else PartState.OK,
        detail=detail,
        hint="They are sent when RabbitMQ is back. See: stratavore daemon status" if late else "",
        figures=figures,
    )
