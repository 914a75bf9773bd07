"""What was seen of a run from outside: all that the checks are given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Agent = tuple[int, int]
"""Pid and start time (clock ticks since boot), which together name a process."""


@dataclass(frozen=True)
class Row:
    """A session as Postgres showed it. ``granted`` None: it holds neither a slot nor a place in the line."""

    state: str
    generation: int
    project: str
    ticket: int | None = None
    granted: bool | None = None
    pid: int | None = None
    """Of its current runner, if that has no recorded end."""


@dataclass(frozen=True)
class Sample:
    """One look. ``rows`` None: Postgres did not answer."""

    at: float
    agents: Mapping[str, Agent]
    """Living agents by runner id, from the process table."""
    doubled: tuple[tuple[str, str], ...] = ()
    """Runners of one session that were found to live at the same time."""
    rows: Mapping[str, Row] | None = None
    until: float = 0.0
    """When the process table had been read; 0: at once."""

    @property
    def read(self) -> float:
        """When the process table had been read."""
        return max(self.at, self.until)


@dataclass(frozen=True)
class Harm:
    """What a fault or a command may have done to agents. ``sessions`` None: to all."""

    at: float
    until: float
    what: str
    sessions: frozenset[str] | None


@dataclass(frozen=True)
class Prompt:
    """A text that was sent. ``taken``: the command succeeded, so the agent has taken it or will when it is back."""

    text: str
    taken: bool


@dataclass
class Session:
    """One session of the workload."""

    id: str
    project: str
    kind: str
    """``notes``, ``light`` or ``claude``."""
    meant: str = "running"
    """``running``, ``paused``, ``ended``; ``unsure``: a command was cut, and nobody knows whether it was heard."""
    prompts: list[Prompt] = field(default_factory=list)
    busy: bool = False
    """A command for it is under way."""
    failover: bool = False
    """It goes on elsewhere when its host is lost: its agent ends with the host's lease."""

    @property
    def talks(self) -> bool:
        """It has a conversation with the Messages API."""
        return self.kind != "notes"


@dataclass(frozen=True)
class Answered:
    """A reply, as the Messages API knows it."""

    session: str
    id: str
    text: str
    usage: Mapping[str, int]
    finished: bool
    at: float
    """When it was sent whole, or broken off."""


@dataclass(frozen=True)
class Event:
    """An event, committed or received."""

    id: str
    session: str | None
    sequence: int


@dataclass
class Record:
    """A run, once it is over."""

    sessions: dict[str, Session] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    """Runners at once, by project; ``""``: over all."""
    samples: list[Sample] = field(default_factory=list)
    harms: list[Harm] = field(default_factory=list)
    unsettled: str = ""
    """What did not come to rest in time after the last fault; empty if everything did."""
    orphans: tuple[str, ...] = ()
    """Processes with the marker of a runner that is over."""
    replies: list[Answered] = field(default_factory=list)
    transcripts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Usage by reply, as the agents wrote it down."""
    ledger: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Usage by reply, as Stratavore counted it."""
    fenced: frozenset[str] = frozenset()
    """Runners that a lost host's lease ended."""
    last_requests: dict[str, list[str]] = field(default_factory=dict)
    """All texts of the last request of each session, in order."""
    notes: dict[str, list[str]] = field(default_factory=dict)
    """What each agent of the kind ``notes`` kept."""
    committed: list[Event] = field(default_factory=list)
    received: list[Event] = field(default_factory=list)
    listening_since: float = 0.0
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    """What came back, and after how many seconds."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each fault was done."""

    @property
    def failed_over(self) -> frozenset[str]:
        """Sessions of the fenced runners. What a host had not told when it was lost stays there."""
        return frozenset(session_of(runner) for runner in self.fenced)

    @property
    def last(self) -> Sample:
        """The last look, after everything had come to rest."""
        return self.samples[-1]


def session_of(runner_id: str) -> str:
    """The session of a runner."""
    return runner_id.rpartition(".")[0]


def as_json(record: Record) -> dict[str, Any]:
    """Everything but the samples, of which there are too many to read."""
    import dataclasses

    record = dataclasses.replace(record, samples=[])
    return dataclasses.asdict(record, dict_factory=lambda items: {key: _plain(value) for key, value in items})


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
