"""Waiting for many runners to end, without asking again and again."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, ProcessIdentity, liveness, open_pidfd
from stratavore.runtime.rundir import RunDirectory

_POLL_SECONDS = 1.0


@dataclass(eq=False)
class _Watched:
    runner_id: str
    agent: ProcessIdentity | None
    wrapper: ProcessIdentity | None
    descriptors: dict[ProcessIdentity, int] = field(default_factory=dict)
    polled: dict[ProcessIdentity, asyncio.TimerHandle] = field(default_factory=dict)

    @property
    def awaited(self) -> set[ProcessIdentity]:
        """Those not yet proven dead."""
        return self.descriptors.keys() | self.polled.keys()


class ExitWatch:
    """Calls back, in the loop and once for each runner, when its agent has ended.

    ``on_exit`` is called when the agent is proven dead and how it ended is written down, or nobody is left to
    write it. ``on_orphan`` is called when the wrapper is gone and the agent lives: its terminal is lost,
    nobody can reach it any more, and ``on_exit`` still follows at its end.
    """

    def __init__(
        self, home: Home, on_exit: Callable[[str], None], on_orphan: Callable[[str], None] | None = None
    ) -> None:
        self._home = home
        self._on_exit = on_exit
        self._on_orphan = on_orphan
        self._watched: dict[str, _Watched] = {}

    def add(self, runner_id: str, agent: ProcessIdentity | None, wrapper: ProcessIdentity | None) -> None:
        """Watch a runner; one that is watched already goes on being watched."""
        if runner_id in self._watched:
            return
        watched = self._watched[runner_id] = _Watched(runner_id, agent, wrapper)
        for identity in {agent, wrapper} - {None}:
            assert identity is not None
            self._await(watched, identity)
        # Never from within this call: who adds has not finished what it does.
        asyncio.get_running_loop().call_soon(self._judge, watched)

    def remove(self, runner_id: str) -> None:
        """Stop watching a runner."""
        watched = self._watched.pop(runner_id, None)
        if watched is not None:
            for identity in watched.awaited:
                self._settle(watched, identity)

    def close(self) -> None:
        """Stop watching all."""
        for runner_id in list(self._watched):
            self.remove(runner_id)

    def __contains__(self, runner_id: str) -> bool:
        return runner_id in self._watched

    def _await(self, watched: _Watched, identity: ProcessIdentity) -> None:
        loop = asyncio.get_running_loop()
        try:
            descriptor = open_pidfd(identity)
        except OSError:  # no descriptor is free: ask now and then
            watched.polled[identity] = loop.call_later(_POLL_SECONDS, self._poll, watched, identity)
            return
        if descriptor is not None:
            watched.descriptors[identity] = descriptor
            loop.add_reader(descriptor, self._died, watched, identity)

    def _poll(self, watched: _Watched, identity: ProcessIdentity) -> None:
        del watched.polled[identity]
        if liveness(identity) is Liveness.DEAD:
            self._judge(watched)
        else:
            self._await(watched, identity)
            self._judge(watched)

    def _died(self, watched: _Watched, identity: ProcessIdentity) -> None:
        self._settle(watched, identity)
        self._judge(watched)

    def _settle(self, watched: _Watched, identity: ProcessIdentity) -> None:
        if identity in watched.polled:
            watched.polled.pop(identity).cancel()
        if identity in watched.descriptors:
            descriptor = watched.descriptors.pop(identity)
            with suppress(RuntimeError):  # the loop was closed before us
                asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def _judge(self, watched: _Watched) -> None:
        if self._watched.get(watched.runner_id) is not watched:
            return
        if watched.agent in watched.awaited:
            if watched.wrapper not in watched.awaited and self._on_orphan is not None:
                self._on_orphan(watched.runner_id)
        elif watched.wrapper not in watched.awaited or self._has_said(watched):
            self.remove(watched.runner_id)
            self._on_exit(watched.runner_id)

    def _has_said(self, watched: _Watched) -> bool:
        """Whether the wrapper wrote down how the agent ended. What cannot be read now is asked again."""
        try:
            return RunDirectory(self._home, watched.runner_id).exit() is not None
        except OSError:
            asyncio.get_running_loop().call_later(_POLL_SECONDS, self._judge, watched)
            return False
