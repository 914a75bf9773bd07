"""``--servers embedded``: as one machine runs them, private children of the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stratavore.embedded.stack import EmbeddedStack
from tests.support import servers
from tests.support.stacks.stack import Stack


@contextmanager
def started(homes: Path) -> Iterator[Stack]:
    """Temporal and Postgres are ready, RabbitMQ is on its way. They end with ``homes``."""
    stack = EmbeddedStack(servers.new_home(homes), servers.free_ports())
    servers.run_apart(stack.start())
    yield Stack(
        stack.temporal_address,
        stack.postgres_dsn,
        lambda: servers.run_apart(servers.wait_for_rabbitmq(stack)),
    )
