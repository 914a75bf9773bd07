"""What Postgres knows, as metrics for Prometheus.

It is the same at every daemon, and is shown from a snapshot that the daemon takes every few seconds: a scrape costs no
query, and one while Postgres is away shows the last known values with their time.
"""

import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stratavore.models.states import Activity, ExitKind, RunnerStatus, SessionState
from stratavore.models.views import QuotaView
from stratavore.store import health, limits
from stratavore.store.queries import load

if TYPE_CHECKING:
    from asyncpg import Record

    from stratavore.store.connection import Connection

SQL = load(__file__)

HOST_STATES = ("up", "draining", "away")


@dataclass(frozen=True)
class Several:
    """How many there are of something, and how many seconds the one that has not changed for longest has stood."""

    count: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True)
class BudgetUse:
    """How much of a budget is used; of the budgets of a project's sessions, of the fullest one."""

    scope: str
    project: str
    """Empty: of all."""
    unit: str
    period: str
    share: float
    """Of the limit, with what was approved: 1.0 is used up."""


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
    hosts: Mapping[str, str]
    """Whether each host is ``up``, ``draining`` or ``away``."""
    quotas: tuple[QuotaView, ...]
    budgets: tuple[BudgetUse, ...]
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
    outbox = await health.outbox(connection)
    known = await connection.fetch(SQL.hosts)
    return Snapshot(
        runners=statuses,
        ends=ends,
        activities={row["activity"]: _several(row) for row in await connection.fetch(SQL.activities)},
        sessions={row["state"]: _several(row) for row in await connection.fetch(SQL.sessions)},
        tokens_used=tokens_used,
        outbox=Several(outbox.waiting, outbox.oldest_s or 0.0),
        events_dead=outbox.dead,
        leases={row["name"]: row["lease_expires_at"] for row in known},
        hosts={row["name"]: row["state"] for row in known},
        quotas=tuple(await limits.views(connection)),
        budgets=tuple(BudgetUse(**dict(row)) for row in await connection.fetch(SQL.budgets)),
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
        yield _labelled(
            "stratavore_hosts",
            "Hosts by whether they take new runners, only keep those they have, or are not heard of; of the last week",
            "state",
            HOST_STATES,
            Counts(seen.hosts.values()),
        )
        yield from _quotas(seen.quotas)
        share = GaugeMetricFamily(
            "stratavore_budget_used_ratio",
            "How much of a budget is used, of what is approved too; of the sessions' own the fullest of each project",
            labels=["scope", "project", "unit", "period"],
        )
        for one in seen.budgets:
            share.add_metric([one.scope, one.project, one.unit, one.period], one.share)
        yield share
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


def show(seen: Snapshot) -> None:
    """Show these values from now on."""
    _SNAPSHOTS.latest = seen
