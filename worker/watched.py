"""A runner under watch."""

import asyncio
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, time

from stratavore.agents.adapter import Follower, Judgement, Observation
from stratavore.agents.registry import adapter_for
from stratavore.models.states import Activity
from stratavore.models.steps import RunnerExit
from stratavore.runtime.processes import ProcessIdentity
from stratavore.runtime.rundir import RunDirectory
from stratavore.store.runners import Followed

log = logging.getLogger(__name__)


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
    watched_since: float = field(default_factory=monotonic)
    """By the monotonic clock."""
    next_heartbeat: float = 0.0
    """By the monotonic clock."""
    end: RunnerExit | None = None
    ending: asyncio.Task[None] | None = field(default=None, repr=False)
    failed_reads: int = 0
    """Of its transcript, since it has died."""
    follower: Follower = field(init=False, repr=False)
    hooks_read: int = field(init=False)
    tokens: int = 0
    """Of its session, as last written."""
    attached: bool = False
    """A person looks at its terminal."""
    tells: bool = field(init=False)
    """Its agent has hooks: what it does is known at once."""
    stumbled: bool = False
    """Something of it was not understood, and that was said."""
    entered: dict[str, str] = field(init=False)
    """Transcripts that its hooks told of until there, each with the agent's own id of the conversation."""
    descendants: frozenset[ProcessIdentity] | None = field(default=None, repr=False)
    """Those that were written down last; None: not looked for by this daemon."""

    def __post_init__(self) -> None:
        adapter = adapter_for(self.agent)
        self.tells = adapter.hooks
        # Looked at for hundreds of runners several times a second: no paths are made for that.
        self._log, self._hooks = str(self.run.log), str(self.run.hooks)
        self.hooks_read, self.entered = self.followed.hooks_read, dict(self.followed.entered)
        try:
            self.follower = adapter.follow(self.followed.agent)
        except ValueError as error:  # another version kept it
            log.warning(
                "what was known of %s is not understood, and its hooks are heard anew: %s", self.runner_id, error
            )
            self.follower, self.hooks_read = adapter.follow({}), 0

    @property
    def activity(self) -> Activity:
        """What it is doing, as last written."""
        return self.shown.activity

    @property
    def restless(self) -> bool:
        """Whether it may do something else at any moment. Who is idle says so first, by a hook."""
        return self.tells and self.shown.activity is not Activity.IDLE

    @property
    def told_more(self) -> bool:
        """Whether its hooks have told more than was heard."""
        if not self.tells:
            return False
        try:
            return os.stat(self._hooks).st_size > self.hooks_read  # noqa: PTH116
        except OSError:
            return False

    @property
    def known(self) -> Followed:
        """What is known of it now."""
        return Followed(hooks_read=self.hooks_read, entered=dict(self.entered), agent=self.follower.state())

    def observe(self) -> Observation:
        """What is seen of it from outside, now."""
        now = time()
        try:
            quiet = max(0.0, now - os.stat(self._log).st_mtime)  # noqa: PTH116
        except OSError:
            quiet = None
        # The clock may have been set back since it began.
        alive = max(now - self.started_at.timestamp(), monotonic() - self.watched_since)
        return Observation(alive_seconds=alive, quiet_seconds=quiet)


def by_project(watched: Iterable[Watched]) -> dict[str, list[Watched]]:
    """Runners by the project whose tmux server holds them."""
    projects: dict[str, list[Watched]] = {}
    for one in watched:
        projects.setdefault(one.project_id, []).append(one)
    return projects
