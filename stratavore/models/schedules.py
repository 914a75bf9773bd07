"""Launches that a schedule begins: what it says, what its run asks for, and what people see of it."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import Field

from stratavore.models.base import Model
from stratavore.models.session import SessionInput
from stratavore.models.states import SessionState

_SESSIONS = UUID("6f1d2a0e-53c7-4c0b-9b3e-7a1f0c9d8e42")


def session_of_run(workflow_id: str, first_run_id: str) -> str:
    """The id of the session that a run of a schedule launches: of one run always the same."""
    return str(uuid5(_SESSIONS, f"{workflow_id}/{first_run_id}"))


class ScheduledLaunch(Model):
    """What a schedule launches; its argument, so that Temporal alone has it."""

    schedule_id: str
    """A UUID of its own: another one of the same name has another."""
    name: str
    project_id: str
    project: str
    host: str
    """Whose daemon prepares the launch."""
    cron: str
    """As it was typed."""
    prompt: str | None
    options: dict[str, Any]
    """Of ``LaunchOptions``, as JSON values; the project says what they leave open."""
    headless: bool
    limits: dict[str, int] = Field(default_factory=dict)
    """Of each session's own, by the name of the limit."""

    @property
    def title(self) -> str:
        """For people."""
        return f"Scheduled launch {self.name} in {self.project}"


class PrepareRequest(Model):
    """Make a session ready to be started. Key: the session."""

    launch: ScheduledLaunch
    session_id: str


class Prepared(Model):
    """What the session's workflow is started with, or why there is to be none."""

    start: SessionInput | None = None
    refusal: str | None = None


class ScheduleView(Model):
    """A schedule as Temporal has it, with the session that it launched last."""

    schedule_id: str
    name: str
    project: str
    cron: str
    timezone: str
    overlap: str
    host: str
    interactive: bool
    paused: bool
    created_at: datetime
    next_at: datetime | None
    """None: it is paused, or its time never comes again."""
    last_at: datetime | None
    """When it launched last; None: it never did."""
    last_session_id: str | None
    last_state: SessionState | None
    """None: there is no such session (yet)."""
    last_failure: str | None
    """Why the last launch came to nothing."""
    buffered: int
    """Launches that are due, and wait for the end of the last session."""
    skipped: int
    """Times that were left out because the last session had not ended."""
    missed: int
    """Times that nobody was there for, and that were too long ago to be made up for."""


class ScheduleDeleted(Model):
    """What came of a deletion."""

    name: str
    deleted: bool
    """False if there was none."""
