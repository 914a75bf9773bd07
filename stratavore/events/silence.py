"""A connection to RabbitMQ that fell silent without a word: a lost route, a machine that is gone."""

from collections.abc import Iterator
from contextlib import contextmanager

from stratavore.cancelling import Cancelled, strays_fail


@contextmanager
def found_silent() -> Iterator[None]:
    """What the driver does with a connection whose heartbeats are not answered: it cancels whoever waits at it.

    Raises:
        ConnectionError: instead of a cancellation that nobody asked this task for.
    """
    try:
        with strays_fail():
            yield
    except Cancelled as error:
        raise ConnectionError("the connection fell silent") from error
