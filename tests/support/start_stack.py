"""A daemon's death is played with this: it starts the servers of ``STRATAVORE_HOME``, says so and waits."""

import asyncio
import os
import signal

from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home
from tests.support.servers import free_ports

if __name__ == "__main__":
    rabbitmq = bool(os.environ.get("WITH_RABBITMQ"))
    asyncio.run(EmbeddedStack(Home.from_environment(), free_ports(rabbitmq=rabbitmq)).start())
    print("started", flush=True)
    signal.pause()
