"""``python -m tests.support.failing_daemon``: ``stratavored`` on a machine that fails, or does not answer.

While a file of one of these names is in the state directory, what it names fails.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from pathlib import Path
from time import sleep
from typing import Any

from stratavore import procfs
from stratavore.events.relay import Relay
from stratavore.paths import Home
from stratavore.runtime import tmux
from worker import daemon
from worker.fence import Fence
from worker.sightings import Sightings
from worker.transcripts import Transcripts

EMPTY_PROCESS_LIST = "fails-processes"
UNREADABLE_PROC = "fails-proc"
UNREADABLE_TRANSCRIPTS = "fails-transcripts"
CANCELLED = "fails-cancelled"
"""What loops wait for is cancelled: the daemon's, the monitor's, the relay's, and who sees to a runner's end."""
PART_RETURNS = "fails-returns"
PART_CANCELLED = "fails-part-cancelled"
"""The relay ends by itself."""
SILENT_MOUNT = "fails-mount"
"""What is below :func:`mount` does not answer."""
SLOW_TMUX = "fails-tmux"
"""For the program of :func:`slow_tmux`."""


def slow_tmux(home: Home) -> Path:
    """A directory for PATH whose tmux does not answer while it is to fail."""
    directory = home.root / "slow"
    directory.mkdir()
    program = directory / "tmux"
    real = "${PATH#*:}"
    program.write_text(
        f'#!/bin/sh\nwhile [ -e {home.root / SLOW_TMUX} ]; do sleep 0.1; done\nPATH={real} exec tmux "$@"\n'
    )
    program.chmod(0o755)
    return directory


def mount(home: Home) -> Path:
    """What lies on a mount that can hang."""
    return home.root / "mounted"


def _hanging(real: Callable[..., Any]) -> Callable[..., Any]:
    home = Home.from_environment()
    flag, below = str(home.root / SILENT_MOUNT), str(mount(home))

    @wraps(real)
    def stat(path: Any, *words: Any, **named: Any) -> Any:
        while not isinstance(path, int) and os.fsdecode(path).startswith(below) and os.access(flag, os.F_OK):
            sleep(0.1)
        return real(path, *words, **named)

    return stat


def _failing(name: str, real: Callable[..., Any], instead: Callable[[], Any]) -> Callable[..., Any]:
    flag = Home.from_environment().root / name
    return lambda *words, **named: instead() if flag.exists() else real(*words, **named)


def _no_processes() -> Iterator[int]:
    return iter(())


def _broken() -> None:
    raise OSError(errno.EIO, "Input/output error")


def _cancelled() -> None:
    raise asyncio.CancelledError


def _ending(run: Callable[[Relay], Awaitable[None]]) -> Callable[[Relay], Awaitable[None]]:
    home = Home.from_environment().root

    @wraps(run)
    async def until_it_fails(relay: Relay) -> None:
        running = asyncio.ensure_future(run(relay))
        try:
            while not (home / PART_RETURNS).exists():
                if (home / PART_CANCELLED).exists():
                    raise asyncio.CancelledError
                await asyncio.sleep(0.05)
        finally:
            running.cancel()

    return until_it_fails


if __name__ == "__main__":
    procfs.pids = _failing(EMPTY_PROCESS_LIST, procfs.pids, _no_processes)
    procfs.stat = _failing(UNREADABLE_PROC, procfs.stat, _broken)
    procfs.boot_id = _failing(UNREADABLE_PROC, procfs.boot_id, _broken)
    Transcripts._open = _failing(UNREADABLE_TRANSCRIPTS, Transcripts._open, _broken)  # type: ignore[method-assign]
    for waits, name in ((Fence, "look"), (Sightings, "look"), (Relay, "_share"), (Transcripts, "drain")):
        setattr(waits, name, _failing(CANCELLED, getattr(waits, name), _cancelled))
    Relay.run = _ending(Relay.run)  # type: ignore[assignment, method-assign]
    os.stat = _hanging(os.stat)
    tmux.CALL_SECONDS = 1.0
    daemon.main()
