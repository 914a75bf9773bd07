"""A connection to RabbitMQ that fell silent without a word: a lost route, a machine that is gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def found_silent() -> Iterator[None]:
    """What the driver does with a connection whose heartbeats are not answered: it cancels whoever waits at it.

    That is a loss, and no wish that the waiting task ends; taken for one, it would end the task, and a daemon with it.

    Raises:
        ConnectionError: instead of a cancellation that nobody asked this task for.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionError("the connection fell silent") from error
