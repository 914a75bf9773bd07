"""A cancellation that nobody asked this task for: what it waited for was cancelled, by a library say."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Cancelled(Exception):
    """What was waited for was cancelled, and not who waited."""


@contextmanager
def strays_fail() -> Iterator[None]:
    """Taken for a wish that the waiting task ends, it would end the task without a word, and a daemon with it.

    Raises:
        Cancelled: instead of a cancellation that nobody asked this task for. Its own goes on as it is.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Cancelled("what it waited for was cancelled") from error
