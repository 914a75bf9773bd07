"""What an agent's adapter says. Nothing else in the system knows an agent's name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from stratavore.agents.conversation import Entry, Row
from stratavore.agents.exits import classify_exit
from stratavore.agents.output import Output
from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity, ExitKind
from stratavore.runtime.rundir import ExitRecord, RunSpec

UNHEARD = "unheard"
"""In a follower's state: a prompt that the agent took and has not written down. If it dies now, it is told again."""


@dataclass(frozen=True)
class Start:
    """A runner that is about to start, as its adapter is told of it."""

    session_id: str
    agent_session_id: str
    """The agent's own id of the conversation."""
    resume: bool
    """The conversation has been begun before; of an agent with transcripts: something of it is written down."""
    directory: Path
    """Of the runner: the files of the plan are written here first."""
    environment: Mapping[str, str]
    """Of the session, as the agent gets it."""


@dataclass(frozen=True)
class Plan:
    """How a runner is started."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of the session."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Written into the run directory first, by name."""
    stdin: str | None = None
    """One of the files, given to the agent as its input: it runs without a terminal, and writes to ``output``."""


@dataclass(frozen=True)
class Observation:
    """What is seen of a runner from outside, at one moment."""

    alive_seconds: float
    quiet_seconds: float | None
    """Since its last output; None if there was none."""


@dataclass(frozen=True)
class Judgement:
    """What an agent is doing, with what belongs to it."""

    activity: Activity
    question: str | None = None
    """What it asks, while it waits."""
    reply: str | None = None
    """Its last words of the last turn that ended."""
    prompted_at: datetime | None = None
    """When it took the last prompt."""
    turn_ended_at: datetime | None = None
    turn_failed: bool = False
    """It ended by an error, which ``reply`` tells."""
    agent_session_id: str | None = None
    """Of the conversation that it is in now; None: not told yet."""
    transcript: str | None = None
    """The path of its transcript, as it told it itself."""


@dataclass(frozen=True)
class Account:
    """Whose plan an agent spends. Neither word is a secret."""

    provider: str
    name: str
    """As it is told to people, in the middle of a sentence."""


@dataclass(frozen=True)
class Limit:
    """An agent was told that it must wait; its turn has ended over it."""

    at: datetime
    until: datetime | None
    """None: nobody said."""
    text: str
    """As it was told."""


@dataclass(frozen=True)
class Option:
    """One answer to a question. ``key`` chooses it at once; without one it is gone to with the arrows."""

    key: str
    label: str
    chosen: bool
    """It is the one that Enter would take."""


@dataclass(frozen=True)
class Question:
    """What an agent asks on its screen."""

    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Answer:
    """How a question is answered: keys by tmux's names, then perhaps a text and Enter."""

    keys: Sequence[str]
    text: str | None = None


@dataclass(frozen=True)
class Box:
    """What a screen offers to type into. With a question on it nothing else can be typed: Enter would answer it."""

    ready: bool
    typed: str = ""
    """What is in it already."""
    question: Question | None = None


@dataclass(frozen=True)
class Presence:
    """Where an agent's program is. ``path`` None: it was not found. ``logged_in`` None: that is not known."""

    program: str
    path: str | None
    logged_in: bool | None = None


class Follower(ABC):
    """Judges what one agent is doing by all that it leaves behind. Does no input or output."""

    def hook(self, line: bytes) -> None:  # noqa: B027 - not every agent has hooks
        """Hear a line of the runner's file of hooks."""

    def row(self, row: Row) -> None:  # noqa: B027 - not every agent has one
        """Hear a row of its main transcript."""

    def screen(self, text: str, at: float) -> None:  # noqa: B027
        """Look at its screen as it is at ``at`` (Unix time)."""

    def wants_screen(self, seen: Observation, now: float) -> bool:
        """Whether its screen would tell more at ``now`` (Unix time) than is known."""
        return False

    def answered(self, at: float) -> None:  # noqa: B027
        """Its question was just answered (Unix time)."""

    def limit(self) -> Limit | None:
        """The limit over which its last turn has ended; None: it has not, or somebody has prompted it since."""
        return None

    @abstractmethod
    def judge(self, seen: Observation) -> Judgement:
        """What it is doing."""

    def state(self) -> dict[str, Any]:
        """What a follower of the next daemon has to know to go on, as JSON values."""
        return {}


class Adapter(ABC):
    """One kind of agent. Adapters keep no state: they answer for every runner of their kind."""

    name: ClassVar[str]
    hooks: ClassVar[bool] = False
    """Its runners write a file of hooks."""
    transcripts: ClassVar[bool] = False
    """It keeps its conversations in files that can be read."""
    heavy: ClassVar[bool] = False
    """Its start keeps a core busy for a second or more: many that start at once would bring the machine down."""

    permission_modes: ClassVar[tuple[str, ...]] = ()
    """What it may do unasked, by name."""
    output_is_json: ClassVar[bool] = False
    """Without a terminal it writes lines of JSON; else text for people."""

    @abstractmethod
    def check(self, spec: LaunchSpec, environment: Mapping[str, str]) -> None:
        """Refuse what can never start in the session's environment, before anything is made.

        Raises:
            InvalidInput: says what is wrong with it.
        """

    def presence(self, environment: Mapping[str, str]) -> Presence | None:
        """Where its program is in an environment; None: it is whatever program one names."""
        return None

    def account(self, environment: Mapping[str, str]) -> Account | None:
        """Whose plan it spends in an environment; None: of a program nobody knows. Not for the event loop."""
        return None

    @abstractmethod
    def plan(self, spec: LaunchSpec, start: Start) -> Plan:
        """How the runner is started."""

    @abstractmethod
    def follow(self, state: Mapping[str, Any]) -> Follower:
        """A follower of one runner; ``state`` is what the last one left, empty for a new runner."""

    def box(self, screen: str) -> Box:
        """What can be typed into, by the screen. Of a program that is not known: anything, at any time."""
        return Box(ready=True)

    def keys_to_clear(self, box: Box) -> Sequence[str]:
        """Keys that empty the box, by tmux's names."""
        return ()

    def answer(self, question: Question, answer: str) -> Answer | None:
        """How a question is answered so; None: that is no answer to it."""
        return None

    def prompt_taken(self, hook: bytes) -> tuple[float, str] | None:
        """When a prompt was taken (Unix time) and which, if that is what a line of hooks tells."""
        return None

    def tells_when_taken(self, text: str) -> bool:
        """Whether its hooks tell of a prompt like this: one that they do not tell of was not taken."""
        return False

    def transcript_path(self, start: Start, cwd: str) -> Path | None:
        """Where it writes the conversation; None: it keeps none that can be read."""
        return None

    def subagent_transcripts(self, transcript: Path) -> Path | None:
        """The directory where agents that it starts itself write theirs (``*.jsonl``)."""
        return None

    def begun(self, transcript: Path) -> bool:
        """Whether something was said in a transcript, so that it can be gone on with."""
        with transcript.open("rb") as lines:
            return any(row.message or row.reply for row in map(self.read_row, lines))

    def read_row(self, line: bytes) -> Row:
        """Understand one line of a transcript. Never fails, whatever it holds."""
        return Row(known=False)

    def read_entries(self, line: bytes) -> Sequence[Entry]:
        """What one line of a transcript says to a reader."""
        return ()

    def read_output(self, line: bytes) -> Output:
        """Understand one line of what it writes without a terminal, if it writes JSON."""
        return Output()

    def classify_exit(self, record: ExitRecord | None, spec: RunSpec | None) -> tuple[ExitKind, str]:
        """How it ended, and why in one sentence. No record: nobody was left to write one."""
        return classify_exit(record, spec)
