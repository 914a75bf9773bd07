"""Screens, where they tell more of an agent than it says itself: a question asked before any hook, an early Escape.

A terminal server that hangs holds up this, and nothing else.
"""

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic, time

from stratavore.errors import StratavoreError
from stratavore.runtime.tmux import Tmux
from worker.watched import Watched, by_project

log = logging.getLogger(__name__)


class Screens:
    """Shows followers the screens that they want to see."""

    def __init__(self, tmux: Tmux, *, interval: float) -> None:
        """Idle agents are looked at every ``interval`` seconds at most."""
        self._tmux = tmux
        self._interval = interval
        self._next_of_idle = 0.0

    async def look(self, watched: Sequence[Watched]) -> None:
        """Look at the screens of all who want it, with one question a project."""
        idle = monotonic() >= self._next_of_idle
        if idle:
            self._next_of_idle = monotonic() + self._interval
        asked = [one for one in watched if one.ending is None and one.tells and (idle or one.restless)]
        wanted = [one for one in asked if one.follower.wants_screen(one.observe(), time())]
        await asyncio.gather(*(self._show(project_id, ones) for project_id, ones in by_project(wanted).items()))

    async def _show(self, project_id: str, ones: Sequence[Watched]) -> None:
        try:
            at = time()
            screens = await self._tmux.screens(project_id, [one.runner_id for one in ones])
        except (StratavoreError, OSError) as error:
            log.warning("the screens of project %s could not be seen: %s", ones[0].project, error)
            return
        for one in ones:
            if one.runner_id in screens:
                try:
                    one.follower.screen(screens[one.runner_id], at)
                except Exception:
                    log.exception("the screen of %s was not understood", one.runner_id)
