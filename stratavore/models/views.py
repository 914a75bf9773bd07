"""Read models: what lists show and ``--format json`` prints. The keys are stable and documented in ``docs/cli.md``."""

from datetime import datetime
from typing import Any

from pydantic import Field

from stratavore.models.base import Model
from stratavore.models.states import Activity, ExitKind, Failover, RunnerStatus, SessionState


class ProjectView(Model):
    """A project, with what is open in it."""

    project_id: str
    name: str
    path: str
    agent: str
    argv: tuple[str, ...]
    model: str | None
    permission_mode: str | None = None
    directories: tuple[str, ...] = ()
    mcp_config: tuple[str, ...] = ()
    host: str | None = None
    """The only one that its sessions run on, unless they say another."""
    failover: Failover = Failover.WAIT
    """Of its new sessions."""
    created_at: datetime
    live_sessions: int = 0
    running: int = 0


class ProjectDetails(ProjectView):
    """A project with all that was ever done in it."""

    sessions: dict[str, int] = Field(default_factory=dict)
    """Count by state, ended ones too."""
    tokens_used: int = 0
    cost_usd: float | None = None
    unpriced_tokens: int = 0


class SessionName(Model):
    """What a person could call a session that lives."""

    session_id: str
    project: str
    state: SessionState


class NamesView(Model):
    """What can be named on the command line."""

    projects: tuple[str, ...]
    sessions: tuple[SessionName, ...]
    """Live ones, the newest first."""


class SessionView(Model):
    """A session as Postgres shows it."""

    session_id: str
    agent_session_id: str
    project: str
    agent: str
    state: SessionState
    activity: Activity
    position: int | None
    """In the waiting line, from 1; None when it does not wait."""
    generation: int
    created_at: datetime
    ended_at: datetime | None
    tokens_used: int
    cost_usd: float | None
    unpriced_tokens: int = 0
    """Of those used, of models whose price is not known: the cost is at least ``cost_usd``."""
    reason: str | None
    since: datetime | None = None
    """Since when it is without its agent, or that is not known: of one that recovers or cannot be reached."""
    question: str | None = None
    """What its agent asks a person, while it waits."""
    host: str | None = None
    bound_to: str | None = None
    """The only host that it runs on."""
    runner_id: str | None = None
    argv: tuple[str, ...] = ()
    headless: bool = False
    """Its agent has no terminal: it answers one prompt and ends."""
    failover: Failover = Failover.WAIT
    """When its host is lost."""


class RunnerView(Model):
    """A runner as Postgres shows it."""

    runner_id: str
    session_id: str
    generation: int
    project: str
    agent: str
    model: str | None
    host: str
    status: RunnerStatus
    activity: Activity
    pid: int | None
    started_at: datetime | None
    tokens_used: int
    cost_usd: float | None
    unpriced_tokens: int = 0
    memory_mb: float | None
    cpu_percent: float | None = None
    """Of one processor, by all its processes, when it was measured last."""
    ended_at: datetime | None = None
    exit_kind: ExitKind | None = None
    exit_code: int | None = None
    exit_reason: str | None = None
    last_lines: str | None = None
    question: str | None = None
    """What its agent asks a person, while it waits."""
    reply: str | None = None
    """Its agent's last words of the last turn that ended."""


class EventView(Model):
    """An event of the record. ``sequence`` orders the events of one session."""

    id: str
    type: str
    session_id: str | None
    project: str
    sequence: int
    time: datetime
    data: dict[str, Any]


class QuotaView(Model):
    """A limit with what is used of it. ``limit`` None: none is set."""

    scope: str
    project: str | None
    session_id: str | None = None
    name: str
    limit: int | None
    used: int
    """Of memory: in MB, at least 256 for each slot; of a session as measured. Of tokens: on this day in UTC."""
    waiting: int
    """Sessions in line, if this limit lets nobody in."""
    source: str | None = None
    """What set it, if no person did."""


class ModelUsageView(Model):
    """What a session used of one model."""

    model: str | None
    replies: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    cost_usd: float | None
    unpriced_tokens: int


class SpentView(Model):
    """What was used by one project, session or model, or on one day."""

    key: str | None
    """The project's name, the session's id, the model, or the day; None: a model that nobody named."""
    project: str | None
    """Of a session, where it is."""
    replies: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    tokens_used: int
    cost_usd: float | None
    unpriced_tokens: int


class DaySpentView(Model):
    """What one session used of one model on one day of UTC."""

    day: str
    project: str
    session_id: str
    model: str | None
    replies: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    tokens_used: int
    cost_usd: str | None
    """A decimal, exact: as a number it would be rounded."""
    unpriced_tokens: int


class MachineView(Model):
    """What a machine has, and how much of it is free. Sizes in MiB."""

    processors: int
    load: float
    """Of the last minute: programs that run or want to."""
    memory_mb: float
    memory_available_mb: float
    disk_mb: float
    """Of the file system that holds the state directory."""
    disk_free_mb: float


class HostView(Model):
    """A host with what its runners use."""

    host: str
    up: bool
    """Its daemon renews its lease, and has found its runners."""
    since: datetime
    """When its daemon was started; of a host that is away, when its lease ran out."""
    draining: bool
    """No new runner is placed there."""
    lease_s: float
    """Seconds until its lease runs out; below 0: since it did."""
    version: str
    runners: int
    memory_mb: float
    cpu_percent: float
    machine: MachineView | None = None
    """As its daemon measured it last."""


class HostDetails(HostView):
    """A host with the sessions that live there."""

    sessions: tuple[SessionView, ...] = ()


class ProjectResourcesView(Model):
    """What the runners of a project use."""

    project: str
    runners: int
    memory_mb: float
    cpu_percent: float


class BudgetView(Model):
    """A budget in its present period. Amounts are in its unit: tokens, or US dollars."""

    budget_id: str
    scope: str
    project: str | None
    session_id: str | None
    unit: str
    period: str
    timezone: str
    amount: float
    warn_at: float
    """Share of the amount."""
    action: str
    grace_s: float
    used: float
    extra: float
    """That was approved, or given back by a reset, in this period."""
    used_up: bool
    starts_at: datetime
    ends_at: datetime
    warned_at: datetime | None
    reached_at: datetime | None
    held: int = 0
    """Sessions that wait for it."""


class BudgetPeriodView(Model):
    """What was charged to a budget in one period."""

    scope: str
    project: str | None
    session_id: str | None
    unit: str
    period: str
    starts_at: datetime
    ends_at: datetime
    amount: float
    """The budget as it was then."""
    extra: float
    used: float
    warned_at: datetime | None
    reached_at: datetime | None


class ResourcesView(Model):
    """What hosts have and runners use."""

    hosts: tuple[HostView, ...]
    projects: tuple[ProjectResourcesView, ...]


class TranscriptView(Model):
    """A file that an agent wrote a conversation to, as it is stored."""

    transcript_id: int
    agent_session_id: str
    subagent: bool
    name: str
    path: str
    """Where it was last seen, on the session's host."""
    bytes: int


class ContentView(Model):
    """A piece of a transcript, as it was written."""

    content: str
    """Base64."""
    next: int | None
    """Where the next piece begins; None: this is the last."""


class FoundView(Model):
    """A message that was searched for. In its excerpt, what was found is between the characters 2 and 3 of ASCII."""

    session_id: str
    project: str
    agent: str
    role: str
    at: datetime
    subagent: bool
    message_id: str
    rank: float
    excerpt: str


class Terminal(Model):
    """How to reach the terminal and the files of a runner, on the machine that holds it."""

    session: SessionView
    runner_id: str
    project_id: str
    host: str
    live: bool
    attach: tuple[str, ...]
    attach_read_only: tuple[str, ...]
    log: str
    screen: str
    output: str
    """What an agent without a terminal answered."""


class ReplyView(Model):
    """How an agent stands with what it was sent.

    ``state``: ``busy``, ``answered`` (``text`` is its answer, empty if it gave none), ``failed`` (``text`` is the
    error), ``waiting`` (``text`` is what it asks), or that of a session that does not run any more.
    """

    state: str
    text: str = ""


class ServerView(Model):
    """A server this daemon works with."""

    name: str
    address: str
    state: str
    pid: int | None = None
    detail: str = ""
    ui: str | None = None


class DaemonView(Model):
    """What ``daemon status`` shows."""

    pid: int
    host: str
    version: str
    uptime_s: float
    servers: tuple[ServerView, ...]
    psql: str | None = None
    metrics: str | None = None
    problem: str | None = None
    """Why it does nothing for its host, if so."""


class StatusView(Model):
    """What ``status`` shows: counts, and the live sessions."""

    projects: int
    sessions: dict[str, int]
    """Count by state, live states only."""
    activities: dict[str, int]
    waiting_in_line: int
    events_undelivered: int
    live: tuple[SessionView, ...]
    health: tuple[str, ...] = ()
    """What looks wrong without being so for sure: a sentence each."""
    limits: tuple[QuotaView, ...] = ()
    """Those that are set, of everything, projects and live sessions."""
    budgets: tuple[BudgetView, ...] = ()
    """The same, in their present periods."""
