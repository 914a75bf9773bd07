"""A runner under watch."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from time import time

from stratavore.agents.adapter import Follower, Judgement, Observation
from stratavore.agents.registry import adapter_for
from stratavore.models.states import Activity
from stratavore.models.steps import RunnerExit
from stratavore.runtime.processes import ProcessIdentity
from stratavore.runtime.rundir import RunDirectory
from stratavore.store.runners import Followed


@dataclass
class Watched:
    """A runner of this host that has not ended, as far as this daemon knows."""

    runner_id: str
    session_id: str
    project_id: str
    project: str
    agent: str
    identity: ProcessIdentity
    started_at: datetime
    run: RunDirectory = field(repr=False)
    followed: Followed = field(default_factory=Followed)
    """What was known of it when it was last written down."""
    shown: Judgement = field(default_factory=lambda: Judgement(Activity.STARTING))
    """What was last written of what it is doing."""
    next_heartbeat: float = 0.0
    """By the monotonic clock."""
    end: RunnerExit | None = None
    ending: asyncio.Task[None] | None = field(default=None, repr=False)
    follower: Follower = field(init=False, repr=False)
    hooks_read: int = field(init=False)
    entered: dict[str, str] = field(default_factory=dict)
    """Transcripts that its hooks told of, each with the agent's own id of the conversation."""

    def __post_init__(self) -> None:
        self.follower = adapter_for(self.agent).follow(self.followed.agent)
        self.hooks_read = self.followed.hooks_read

    @property
    def activity(self) -> Activity:
        """What it is doing, as last written."""
        return self.shown.activity

    def observe(self) -> Observation:
        """What is seen of it from outside, now."""
        now = time()
        try:
            quiet = now - self.run.log.stat().st_mtime
        except OSError:
            quiet = None
        return Observation(alive_seconds=now - self.started_at.timestamp(), quiet_seconds=quiet)


def by_project(watched: Iterable[Watched]) -> dict[str, list[Watched]]:
    """Runners by the project whose tmux server holds them."""
    projects: dict[str, list[Watched]] = {}
    for one in watched:
        projects.setdefault(one.project_id, []).append(one)
    return projects
