"""What terminals need while their runners live: activity and tokens in the status line, and a log that goes on.

They are for people to look at. A terminal server that hangs holds up this, and nothing else.
"""

import asyncio
import logging
from collections.abc import Sequence

from stratavore.errors import StratavoreError
from stratavore.models.states import Activity
from stratavore.runtime.tmux import Tmux
from worker.watched import Watched, by_project

log = logging.getLogger(__name__)

LOGS_EVERY = 15
"""Looks between two at the logs."""


Shown = tuple[Activity, int]
"""What a runner does, and the tokens of its session."""
_NEW: Shown = (Activity.STARTING, 0)
"""What a new terminal shows."""


class Terminals:
    """Brings terminals up to date; remembers what their status lines show."""

    def __init__(self, tmux: Tmux) -> None:
        self._tmux = tmux
        self._shown: dict[str, Shown] = {}
        self._looks_to_logs = LOGS_EVERY

    async def look(self, watched: Sequence[Watched]) -> None:
        """Show what has changed; now and then, see who looks, and to logs whose writer was killed."""
        alive = [one for one in watched if one.ending is None]
        self._shown = {one.runner_id: self._shown.get(one.runner_id, _NEW) for one in alive}
        self._looks_to_logs -= 1
        logs = self._looks_to_logs < 0
        if logs:
            self._looks_to_logs = LOGS_EVERY
        await asyncio.gather(*(self._update(project_id, ones, logs) for project_id, ones in by_project(alive).items()))

    async def _update(self, project_id: str, ones: Sequence[Watched], logs: bool) -> None:
        now = {one.runner_id: (one.activity, one.tokens) for one in ones}
        changed = {runner_id: shown for runner_id, shown in now.items() if self._shown[runner_id] != shown}
        try:
            if changed:
                options = {
                    runner_id: {"@activity": str(activity), "@tokens": f"{tokens:,}" if tokens else ""}
                    for runner_id, (activity, tokens) in changed.items()
                }
                await self._tmux.set_options(project_id, options)
                self._shown |= changed
            if logs:
                await self._keep_logs(project_id, ones)
        except (StratavoreError, OSError) as error:
            log.warning("the terminals of project %s were not brought up to date: %s", ones[0].project, error)

    async def _keep_logs(self, project_id: str, ones: Sequence[Watched]) -> None:
        panes = await self._tmux.runners(project_id)
        for one in ones:
            one.attached = one.runner_id in panes and panes[one.runner_id].attached
        for runner_id, pane in panes.items():
            if not pane.logged and not pane.dead:
                log.warning("the log of %s had broken off, and goes on", runner_id)
                await self._tmux.log_again(project_id, runner_id)
