"""Messages between the session workflow and its activities. Each request names its key."""

from datetime import datetime, timedelta

from stratavore.models.base import Model
from stratavore.models.session import Hold, LaunchSpec, LiveRunner, Operator
from stratavore.models.states import ExitKind, RunnerStatus, SessionState


class AdmitRequest(Model):
    """Open the session's row, if it is new, and take a slot or a place in the line. Key: (session, step).

    A step that was done before is told how the session stands now: it may have been granted a slot meanwhile.
    """

    session_id: str
    step: str
    incarnation: str
    project_id: str
    project: str
    spec: LaunchSpec
    resumes: bool
    god: Operator | None = None
    """Who lets it past the quotas and the line."""
    no_queue: bool = False
    """A slot, or nothing."""


class Admission(Model):
    """The answer: a slot, or a place in the line."""

    granted: bool
    position: int = 0
    """Counted from 1; 0 when granted, or when a step of the past asks and the session stands nowhere any more."""
    ticket: int | None = None
    """Its number, which it keeps while it waits."""
    grants: tuple[str, ...] = ()
    """Other sessions that got a slot in the same transaction, to be woken."""
    limit: str | None = None
    """What it waits for."""
    reason: str | None = None
    """The same in words."""
    refused: str | None = None
    """Why there was no slot for who does not want to wait in line."""
    hold: Hold | None = None
    """Why it may not even wait in line."""


class PlaceRequest(Model):
    """Choose a host and create the next runner. Key: (session, step); a live runner of the session is given again."""

    session_id: str
    step: str
    host: str | None
    relaunch: bool
    destination: str | None = None
    """Where it moves to, away from the host that it was on."""


class Placement(Model):
    """The runner to launch."""

    runner_id: str
    generation: int
    host: str


class Placed(Model):
    """The answer. No placement is made for a session without a slot, or while no host has a good lease."""

    holds_slot: bool
    placement: Placement | None = None
    reason: str | None = None
    """Why no host was found, though it holds a slot."""


class ReceiveRequest(Model):
    """Ask a host whether it could go on with a session that runs elsewhere. Changes nothing."""

    session_id: str
    host: str
    """The one that is asked."""
    spec: LaunchSpec


class Received(Model):
    """The answer."""

    refusal: str | None = None
    """Why it cannot, in one sentence."""


class LaunchRequest(Model):
    """Start the agent on this host, or adopt the one found alive. Key: runner id."""

    runner_id: str
    session_id: str
    generation: int
    project_id: str
    project: str
    spec: LaunchSpec
    resume: bool
    """The conversation has been begun before."""


class Launched(Model):
    """The runner runs and is watched; or ``end`` says that it ended before that."""

    end: "RunnerExit | None" = None
    unheard: str | None = None
    """What the runner before it was told, and died with before it wrote it down."""


class SuperviseRequest(Model):
    """Watch the runner until it ends. Key: (workflow id, activity id = runner id)."""

    runner_id: str
    session_id: str
    generation: int


class RunnerExit(Model):
    """How a runner ended, as its host saw it."""

    runner_id: str
    kind: ExitKind
    code: int | None = None
    signals: tuple[str, ...] = ()
    at: datetime
    lived: timedelta
    reason: str
    """One sentence for a person."""
    last_lines: str = ""
    hold: Hold | None = None
    """The limit over which it ended by itself."""


class StopRequest(Model):
    """End the runner's processes. Key: runner id; stopping what has ended is nothing."""

    runner_id: str
    project_id: str
    grace: timedelta
    force: bool


class SendRequest(Model):
    """Type text into the runner's terminal. Key: request id; typed at most once."""

    request_id: str
    session_id: str
    runner_id: str
    project_id: str
    text: str
    enter: bool
    agent: str = "command"
    answer: bool = False
    """It answers the question that the agent asks."""
    patience: timedelta = timedelta(seconds=15)
    """How long to wait until the agent can be typed to."""
    patient: bool = False
    """It is not refused for that it cannot be typed now: a question, a slow start."""


class Sent(Model):
    """What became of it. Neither typed nor refused: it can be tried again."""

    typed: bool
    refused: bool = False
    reason: str = ""
    gone: bool = False
    """The runner has ended before it could be typed: the next one can have it."""


class RefuseRequest(Model):
    """Say that a request cannot be done. Key: request id."""

    request_id: str
    session_id: str
    kind: str
    reason: str


class RecordRequest(Model):
    """Write the end of a runner and what follows from it, in one transaction. Key: (session, step)."""

    session_id: str
    step: str
    project: str
    state: SessionState
    reason: str | None
    release: bool
    """Give the slot, or the place in the line, back."""
    exit: RunnerExit | None = None
    status: RunnerStatus | None = None
    """Of the runner that ended."""
    hold: Hold | None = None
    """What holds the session."""


class FindRequest(Model):
    """Look for a runner of the session that has not ended."""

    session_id: str


class Found(Model):
    """The runner that was found."""

    live: LiveRunner | None = None
    started: bool = False
    """It was shown as running; else it was placed, and perhaps never launched."""


class Recorded(Model):
    """What was written; the same when the step is repeated, even if it was asked otherwise then.

    A step is asked otherwise when a signal came in between the commit of the first try and its worker saying so.
    """

    state: SessionState
    released: bool
    grants: tuple[str, ...] = ()
    """Sessions that got a slot by it, to be woken."""
    repeated: bool = False
    """It was written before: people may have acted on it already."""
    live: LiveRunner | None = None
    """Nothing was written, since there is this runner, whose end has to come first."""


Launched.model_rebuild()
