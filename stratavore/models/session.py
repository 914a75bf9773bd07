"""Messages of the session workflow: its input, its signals, and what it carries over continue-as-new."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from stratavore.models.base import Model
from stratavore.models.states import Failover, SessionState


class LaunchSpec(Model):
    """What to run, as the person asked for it. Carries no environment: histories hold no secrets."""

    agent: str
    argv: tuple[str, ...]
    """The program with its words; of an agent that is a program itself, further words for it."""
    cwd: str
    prompt: str | None = None
    model: str | None = None
    permission_mode: str | None = None
    directories: tuple[str, ...] = ()
    """Others that the agent may work in."""
    mcp_config: tuple[str, ...] = ()
    """Files that name servers of the Model Context Protocol."""
    host: str | None = None
    """The only host that it was to run on when it was launched. Postgres knows where it was moved to since."""
    headless: bool = False
    """Without a terminal: the agent answers the prompt and ends."""
    failover: Failover = Failover.WAIT
    """When its host is lost."""
    limits: dict[str, int] = Field(default_factory=dict)
    """Of the session's own, from its first moment: names of ``stratavore/quotas.py``. People change them since."""


class Operator(Model):
    """Who goes past quotas and questions (``--god``). The kernel tells the daemon the user, the person the rest."""

    id: str
    """Of what was typed: the same command, asked again, is recorded once."""
    user: str
    uid: int
    host: str
    """The machine that it was typed on."""
    terminal: str | None = None
    ssh: str | None = None
    """The address that the terminal's connection came from."""

    def __str__(self) -> str:
        """For people: ``ann on h, pts/3``."""
        return ", ".join(word for word in (f"{self.user} on {self.host}", self.terminal, self.ssh) if word)


class Hold(Model):
    """Why a session may not go on, though nobody put it away. Postgres owns what is used up; this tells of it."""

    state: SessionState
    """``limited``: until it may go on again; ``asking``: until somebody approves; ``paused``, ``ended``: for good."""
    reason: str
    """One sentence for a person."""
    cause: str
    """What holds it. While the same does, it is told by one event; each time that it begins to, by another."""
    until: datetime | None = None
    """When it is worth asking again, without being told; None: it is told."""


class Policy(Model):
    """How a session recovers. Times are of the workflow's clock."""

    first_backoff: timedelta = timedelta(seconds=1)
    longest_backoff: timedelta = timedelta(minutes=1)
    settled_after: timedelta = timedelta(seconds=30)
    """A runner that something else ended (SIGKILL, its terminal, its machine) after this long says nothing about the
    next one: that is relaunched at once. What kills again and again and sooner (want of memory) is waited out, and
    never parks: nobody asked for the session to stop, and what is short today is there tomorrow."""
    stable_after: timedelta = timedelta(minutes=10)
    """A runner that lived this long did work: its crash begins a new count. Less, and an agent that loads a long
    conversation, goes on with it and dies over it each time would do so, and pay for it, for ever."""
    crashes_before_park: int = 5
    grace: timedelta = timedelta(seconds=10)
    """Between SIGTERM and SIGKILL."""
    actions_a_run: int | None = None
    """Continue-as-new once a run has done this much (:data:`ACTIONS_A_RUN`). None, in sessions from before runs counted
    what they do: when the server suggests it, and from the next run on by this."""
    history_length: int | None = None
    """Of such sessions: at this many history events."""


ACTIONS_A_RUN = 40
"""Activities, steps and signals of one run of a session's workflow; about 250 history events.

A worker that was started anew replays about 2,000 events a second (measured), for all its sessions: with ten times as
many events, 60 sessions were without supervision for up to 108 s after the worst of deaths. The workflow counts by
itself, since a replay does not always see the length of the history that was seen at first: see
``docs/architecture.md``."""


class Wish(StrEnum):
    """What the people in charge want the session to be."""

    RUN = "run"
    PAUSE = "pause"
    TERMINATE = "terminate"


class Carried(Model):
    """The state of a session's workflow, whole: what a continued run starts from."""

    wish: Wish = Wish.RUN
    force: bool = False
    """The end that is wished for grants no grace."""
    step: int = 0
    """Number of the last keyed step."""
    launches: int = 0
    crashes: int = 0
    """In a row, without a stable runner between them."""
    seen: tuple[str, ...] = ()
    """Ids of the latest requests, so that a repeated signal has no second effect."""
    live: "LiveRunner | None" = None
    admitted: bool = False
    """Holds a slot."""
    state: SessionState = SessionState.QUEUED
    reason: str | None = None
    prompted: bool = False
    """The agent was told what it was launched with, or that was refused."""
    unheard: str | None = None
    """What the live runner is still to be told, since the one before it died with it."""
    replaced: int = 0
    """Runners up to this generation are to be ended in favour of the next one."""
    stopped: bool = False
    """The live runner was asked to stop, so that its exit says nothing about the agent."""
    god: Operator | None = None
    """Who lets it take its next slot past the quotas."""
    ended_by: Operator | None = None
    """Who wished its end without being asked whether it is meant."""
    destination: str | None = None
    """The host that it moves to."""
    hold: Hold | None = None
    """Over which its live runner is being ended."""
    left: str | None = None
    """The host that it moves away from, and goes back to if the other one refuses it."""


class LiveRunner(Model):
    """The runner that is supervised now."""

    runner_id: str
    generation: int
    host: str


class SessionInput(Model):
    """Starts the workflow ``session-<session_id>``."""

    session_id: str
    project_id: str
    project: str
    spec: LaunchSpec
    host: str | None = None
    """Where it was asked for, and is placed first."""
    resumes: bool = False
    """The session existed before and had ended."""
    adopts: bool = False
    """Its workflow was terminated by hand: a runner of it may be alive."""
    god: Operator | None = None
    """Who lets it take its first slot past the quotas."""
    no_queue: bool = False
    """It ends if there is no slot for its first runner at once."""
    policy: Policy = Policy()
    carried: Carried = Carried()


class PauseSignal(Model):
    """Put the session away: no process, no slot."""

    request_id: str


class ResumeSignal(Model):
    """Run a paused or parked session again; ``god`` lets it, or one that waits in line, past the quotas."""

    request_id: str
    god: Operator | None = None


class TerminateSignal(Model):
    """End the session; ``force`` skips the grace period."""

    request_id: str
    force: bool = False
    god: Operator | None = None
    """Who wished it without being asked whether it is meant."""


class RestartSignal(Model):
    """End the live runner and start the next one; no crash."""

    request_id: str
    generation: int
    """Of the runner that is meant: a later one is left alone."""


class MoveSignal(Model):
    """End the live runner and start the next one on another host; no crash."""

    request_id: str
    generation: int
    """Of the runner that is meant: a later one is left alone."""
    host: str
    """Where to."""


class SendSignal(Model):
    """Type text into the agent's terminal, and Enter after it."""

    request_id: str
    text: str
    enter: bool = True
    answer: bool = False
    """It answers the question that the agent asks."""


class HoldSignal(Model):
    """A limit was reached: put the session away."""

    request_id: str
    generation: int
    """Of the runner that is meant: a later one is left alone."""
    hold: Hold


class GrantSignal(Model):
    """A slot may be there for this session, or no limit holds it any more. Only wakes it: Postgres knows."""


Carried.model_rebuild()
