"""Metrics for Prometheus, and logs in one line each.

What Postgres knows is the same at every daemon, and is shown from a snapshot that the daemon takes every few
seconds: a scrape costs no query, and one while Postgres is away shows the last known values with their time.
"""

import json
import logging
import os
import re
import shutil
import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stratavore.errors import InvalidInput
from stratavore.models.states import Activity, ExitKind, RunnerStatus, SessionState
from stratavore.models.views import QuotaView
from stratavore.store import limits
from stratavore.store.queries import load

if TYPE_CHECKING:
    from asyncpg import Record

    from stratavore.store.connection import Connection

SQL = load(__file__)

HEARTBEAT_LATENCY = Histogram(
    "stratavore_heartbeat_latency_seconds",
    "How long Temporal took to take the heartbeat of a runner's supervision",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
EVENTS_PUBLISHED = Counter(
    "stratavore_events_published_total", "Events that the broker confirmed to this daemon's relay"
)
RELAY_PARTITIONS = Gauge("stratavore_relay_partitions", "Partitions of the outbox that this daemon's relay sends")
TRANSCRIPT_ROWS = Counter(
    "stratavore_transcript_rows_total", "Rows of transcripts that this daemon read", ["agent", "known"]
)
REPLIES = Counter("stratavore_replies_total", "Rows with a reply's usage that this daemon read", ["agent"])
TRANSCRIPT_REFUSED = Counter(
    "stratavore_transcript_refused_total", "Rows of transcripts that Postgres refused; kept as written only", ["agent"]
)
UNMETERED_TURNS = Counter(
    "stratavore_unmetered_turns_total", "Turns that ended and of which nothing says what they used", ["agent"]
)
_SERVER = Gauge(
    "stratavore_server_up", "Whether this daemon got an answer of the server when it last asked; 1 or 0", ["server"]
)
_DISK_FREE = Gauge("stratavore_disk_free_bytes", "Room left on the disk of this daemon's state directory")
_DISK_SIZE = Gauge("stratavore_disk_size_bytes", "Size of the disk of this daemon's state directory")
_DAEMON = Gauge("stratavore_daemon_info", "The daemon that is scraped; always 1", ["host", "version"])


@dataclass(frozen=True)
class Several:
    """How many there are of something, and how many seconds the one that has not changed for longest has stood."""

    count: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """What Postgres knew at a moment."""

    runners: Mapping[str, int]
    """By status."""
    ends: Mapping[str, int]
    """Runners that ended, by kind of exit."""
    activities: Mapping[str, Several]
    """Running runners by what they do."""
    sessions: Mapping[str, Several]
    """By state."""
    tokens_used: int
    outbox: Several
    """Events that wait for the broker."""
    events_dead: int
    leases: Mapping[str, float]
    """When the lease of each host runs out, in Unix time."""
    quotas: tuple[QuotaView, ...]
    at: float = field(default_factory=time.time)


async def snapshot(connection: "Connection") -> Snapshot:
    """Ask Postgres."""
    statuses, ends = Counts[str](), Counts[str]()
    tokens_used = 0
    for row in await connection.fetch(SQL.runners):
        statuses[row["status"]] += row["n"]
        if row["exit_kind"]:
            ends[row["exit_kind"]] += row["n"]
        tokens_used += row["tokens"]
    outbox = await connection.fetchrow(SQL.outbox)
    assert outbox is not None
    return Snapshot(
        runners=statuses,
        ends=ends,
        activities={row["activity"]: _several(row) for row in await connection.fetch(SQL.activities)},
        sessions={row["state"]: _several(row) for row in await connection.fetch(SQL.sessions)},
        tokens_used=tokens_used,
        outbox=Several(outbox["pending"], outbox["oldest_s"]),
        events_dead=outbox["dead"],
        leases={row["name"]: row["lease_expires_at"] for row in await connection.fetch(SQL.hosts)},
        quotas=tuple(await limits.views(connection)),
    )


def _several(row: "Record") -> Several:
    return Several(row["n"], row["oldest_s"])


class SnapshotCollector(Collector):
    """Shows the latest snapshot; nothing before the first, since unknown is not zero."""

    latest: Snapshot | None = None

    def describe(self) -> list[Metric]:
        """Nothing: so that registering it does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of the latest snapshot."""
        seen = self.latest
        if seen is None:
            return
        # A gauge whatever its name says: the name is a promise made to those who watch it.
        yield _labelled("stratavore_runners_total", "Runners by status", "status", RunnerStatus, seen.runners)
        ends = CounterMetricFamily("stratavore_runner_ends", "Runners that ended, by how they did", labels=["kind"])
        for kind in ExitKind:
            ends.add_metric([kind], seen.ends.get(kind, 0))
        yield ends
        doing = {name: several.count for name, several in seen.activities.items()}
        yield _labelled("stratavore_runner_activity", "Running runners by what they do", "activity", Activity, doing)
        yield GaugeMetricFamily(
            "stratavore_waiting_seconds",
            "For how long the agent that has waited longest for a person has waited",
            value=seen.activities.get(Activity.WAITING, Several()).oldest_s,
        )
        states = {name: several.count for name, several in seen.sessions.items()}
        yield _labelled("stratavore_sessions", "Sessions by state", "state", SessionState, states)
        yield _labelled(
            "stratavore_session_state_seconds",
            "For how long the session that has been in the state longest has not changed",
            "state",
            [state for state in SessionState if state is not SessionState.ENDED],
            {name: several.oldest_s for name, several in seen.sessions.items()},
        )
        yield CounterMetricFamily(
            "stratavore_tokens_used", "Tokens that agents recorded as used", value=seen.tokens_used
        )
        yield GaugeMetricFamily("stratavore_outbox_pending", "Events that wait for the broker", value=seen.outbox.count)
        yield GaugeMetricFamily(
            "stratavore_outbox_oldest_seconds", "Age of the oldest event that waits", value=seen.outbox.oldest_s
        )
        yield GaugeMetricFamily("stratavore_events_dead", "Events that the broker refused", value=seen.events_dead)
        lease = GaugeMetricFamily(
            "stratavore_host_lease_expires_timestamp_seconds",
            "When the lease of a host runs out, in Unix time; those of the last week",
            labels=["host"],
        )
        for host, expires in seen.leases.items():
            lease.add_metric([host], expires)
        yield lease
        yield from _quotas(seen.quotas)
        yield GaugeMetricFamily(
            "stratavore_snapshot_timestamp_seconds", "When Postgres was asked, in Unix time", value=seen.at
        )


def _labelled(
    name: str, meaning: str, label: str, values: Iterable[str], found: Mapping[str, float]
) -> GaugeMetricFamily:
    """A gauge with every value of its label, also those of which there is none."""
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value in values:
        family.add_metric([value], found.get(value, 0))
    return family


def _quotas(quotas: Iterable[QuotaView]) -> Iterator[Metric]:
    """Limits that are set, with what is used of them."""
    labels = ["scope", "project", "name"]
    limit = GaugeMetricFamily("stratavore_quota_limit", "The most that may be used", labels=labels)
    used = GaugeMetricFamily("stratavore_quota_used", "How much is used of what is limited", labels=labels)
    for one in quotas:
        if one.limit is not None:
            of = [one.scope, one.project or "", one.name]
            limit.add_metric(of, one.limit)
            used.add_metric(of, one.used)
    yield from (limit, used)


_SNAPSHOTS = SnapshotCollector()
REGISTRY.register(_SNAPSHOTS)


def set_snapshot(seen: Snapshot) -> None:
    """Show these values from now on."""
    _SNAPSHOTS.latest = seen


def describe_daemon(host: str, version: str) -> None:
    """Show which daemon this is."""
    _DAEMON.labels(host, version).set(1)


def show_server(name: str, *, up: bool) -> None:
    """Show whether a server answered just now."""
    _SERVER.labels(name).set(up)


def watch_disk(directory: Path) -> None:
    """Show the room on the disk that holds a directory, as it is at each scrape."""
    _DISK_FREE.set_function(lambda: shutil.disk_usage(directory).free)
    _DISK_SIZE.set_function(lambda: shutil.disk_usage(directory).total)


def serve(port: int, address: str = "127.0.0.1") -> WSGIServer:
    """Serve ``/metrics`` at this address, on this port if it is free, else on any.

    Returns:
        The server: ``server_port`` is its port, ``shutdown()`` and ``server_close()`` end it.

    Raises:
        InvalidInput: the address is none of this machine.
    """
    try:
        server, _ = start_http_server(port, addr=address)
    except OSError:
        try:
            server, _ = start_http_server(0, addr=address)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            reason = f"The metrics cannot be served at metrics.address, {address}: {why}"
            raise InvalidInput(reason=reason) from None
    return server


def metrics_url(server: WSGIServer) -> str:
    """Where it can be asked from this machine."""
    address = ip_address(str(server.server_address[0]))
    if address.is_unspecified:
        address = ip_address("127.0.0.1" if address.version == 4 else "::1")
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{host}:{server.server_port}/metrics"


_SECRETS = (
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:***@"),
    # Also at the end of a longer name: ANTHROPIC_API_KEY, event_signing_key.
    (re.compile(r"(?i)(password|passwd|secret|token|(?:api|access|signing|private)[_-]?key|authorization)"
                r"(['\"]?\s*[=:]\s*)(?:(?:bearer|basic)\s+)?"
                r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&)}]+)"), r"\1\2***"),
)  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+-]+")


class LineFormatter(logging.Formatter):
    """A record as one line of ``name=value`` pairs (logfmt). Passwords and tokens that slipped in are blotted out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        time_ = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs = {
            "time": time_.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": blot(record.getMessage()),
        }
        if record.exc_info:
            pairs["exception"] = blot(self.formatException(record.exc_info))
        return " ".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def blot(text: str) -> str:
    """The text without passwords in addresses, and without values that are named as secrets."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def configure_logging(stream: TextIO, level: int | str = logging.INFO) -> None:
    """Log to this stream, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("aio_pika", "aiormq"):  # what matters of a lost connection is said by who lost it
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # whether it migrated is said by the daemon


def _quoted(value: str) -> str:
    """A value with spaces or more is a JSON string, in which nothing is left that a terminal obeys."""
    if _PLAIN.fullmatch(value):
        return value
    letters = (one if one.isprintable() and one not in '"\\' else json.dumps(one)[1:-1] for one in value)
    return f'"{"".join(letters)}"'
