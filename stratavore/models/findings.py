"""What upkeep finds: differences between those who know of sessions, and what is wrong with a running system."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from stratavore.models.base import Model


class DifferenceKind(StrEnum):
    """Who says something else than who; ``docs/architecture.md`` has what proves each, and what is done."""

    SESSION_WITHOUT_WORKFLOW = "session_without_workflow"
    WORKFLOW_WITHOUT_SESSION = "workflow_without_session"
    SESSION_BEHIND = "session_behind"
    RUNNER_UNWATCHED = "runner_unwatched"
    RUNNER_OUTLIVES_SESSION = "runner_outlives_session"
    ORPHAN_PROCESSES = "orphan_processes"
    ORPHAN_TERMINAL = "orphan_terminal"
    SLOT_UNUSED = "slot_unused"
    SLOT_MISSING = "slot_missing"
    PLACE_MISSING = "place_missing"
    RUN_DIRECTORY_UNKNOWN = "run_directory_unknown"
    HOST_AWAY = "host_away"


class Outcome(StrEnum):
    """What became of a difference."""

    FOUND = "found"
    """It would be repaired: nothing was changed, as asked."""
    REPAIRED = "repaired"
    GONE = "gone"
    """Looked at again before it was to be repaired, there was nothing to repair any more."""
    LEFT = "left"
    """It is for a person to decide: ``action`` says how."""
    FAILED = "failed"
    """``action`` says why; the next run tries again."""


class Difference(Model):
    """One difference, in words."""

    kind: DifferenceKind
    subject: str
    """The id of what it is about: a session, a runner or a host."""
    session_id: str | None = None
    project: str | None = None
    what: str
    since: datetime | None = None
    """None: it is not known."""
    outcome: Outcome
    action: str
    """What is done about it, or what a person can do."""


class Reconciliation(Model):
    """What ``reconcile`` found and did."""

    dry_run: bool
    differences: tuple[Difference, ...]
    unseen: tuple[str, ...]
    """What could not be looked at, a sentence each; nothing is concluded from it."""


class PartState(StrEnum):
    """How a part of the running system is."""

    OK = "ok"
    WARNING = "warning"
    """It looks wrong without being so for sure, or hinders nobody now."""
    PROBLEM = "problem"


class Part(Model):
    """One part of the running system."""

    name: str
    state: PartState
    detail: str
    """What was found, with its figures, as one sentence."""
    hint: str = ""
    """The way out; empty if all is well."""
    figures: dict[str, float | int | str | None] = Field(default_factory=dict)
    """The same for programs."""


class Health(Model):
    """How the running system is: healthy, if nothing is a problem."""

    healthy: bool
    parts: tuple[Part, ...]
