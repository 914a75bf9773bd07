"""A runner under watch."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from stratavore.models.states import Activity
from stratavore.models.steps import RunnerExit
from stratavore.runtime.processes import ProcessIdentity


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
    activity: Activity = Activity.STARTING
    next_heartbeat: float = 0.0
    """By the monotonic clock."""
    end: RunnerExit | None = None
    ending: asyncio.Task[None] | None = field(default=None, repr=False)


def by_project(watched: Iterable[Watched]) -> dict[str, list[Watched]]:
    """Runners by the project whose tmux server holds them."""
    projects: dict[str, list[Watched]] = {}
    for one in watched:
        projects.setdefault(one.project_id, []).append(one)
    return projects
