"""What may lie on a mount that hangs (a dead NFS server, sshfs, FUSE): asked so that it holds up nobody else.

All that people name may: projects' directories, agents' homes, where exports go. A call that hangs keeps its thread, so
it has one of its own, and none of ``asyncio.to_thread``: a few would leave none of those.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

from stratavore.errors import SilentDirectory

T = TypeVar("T")

ANSWER_SECONDS = 5.0
"""What a file system may take for an answer: a disk that slept, a mount that is made when it is asked for."""


@dataclass(frozen=True)
class _Asked:
    """A question that is not answered yet."""

    answer: "Future[tuple[Any, BaseException | None]]" = field(default_factory=Future)
    began: float = field(default_factory=monotonic)


_asked: dict[str, _Asked] = {}
"""By place."""


async def ask(place: str | Path, question: Callable[[], T], *, seconds: float = ANSWER_SECONDS) -> T:
    """Ask a file system something in a thread of its own, and wait for a while only.

    A place that is silent keeps one thread, however often it is asked: questions about it wait for each other.

    Args:
        place: What may be silent.
        question: What blocks. It may go on after the time is over, until it is answered at last.
        seconds: From the first question that is not answered.

    Raises:
        TimeoutError: It did not answer in time.
    """
    key, deadline = os.fspath(place), monotonic() + seconds
    while before := _asked.get(key):
        await _answer(key, before, min(deadline, before.began + seconds))
    mine = _asked[key] = _Asked()
    try:
        Thread(target=_find, args=(key, question, mine), name=f"asks {key}", daemon=True).start()
    except RuntimeError:  # no room for another thread
        del _asked[key]
        raise
    found, failure = await _answer(key, mine, deadline)
    if failure:
        raise failure
    return found  # type: ignore[no-any-return]


async def look(directory: str | Path, question: Callable[[], T], *, seconds: float = ANSWER_SECONDS) -> T:
    """:func:`ask` something that reads in a directory of people.

    Raises:
        SilentDirectory: it does not answer.
    """
    try:
        return await ask(directory, question, seconds=seconds)
    except TimeoutError:
        raise SilentDirectory(path=directory) from None


def _find(key: str, question: Callable[[], Any], asked: _Asked) -> None:
    answer: tuple[Any, BaseException | None]
    try:
        answer = question(), None
    except BaseException as failure:
        answer = None, failure
    del _asked[key]
    asked.answer.set_result(answer)


async def _answer(key: str, asked: _Asked, deadline: float) -> tuple[Any, BaseException | None]:
    """The answer. Who waits for it may be cancelled; others wait on."""
    waited = asyncio.wrap_future(asked.answer)
    await asyncio.wait({waited}, timeout=max(0.0, deadline - monotonic()))
    if not waited.done():
        raise TimeoutError(errno.ETIMEDOUT, "it does not answer", key)
    return waited.result()
