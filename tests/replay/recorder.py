"""Walks paths on a real server of their own, to be recorded."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from stratavore.embedded.stack import EmbeddedStack
from tests.support import servers

Path = TypeVar("Path", bound=Callable[..., Any])


async def record_all(paths: Sequence[Path], record: Callable[[Path, Client], Awaitable[None]]) -> None:
    """Record the paths that the command line names, or all of them."""
    with servers.guarded_directory() as directory:
        stack = EmbeddedStack(servers.new_home(directory), servers.free_ports(rabbitmq=False))
        await stack.start()
        for path in [path for path in paths if path.__name__ in sys.argv[1:]] or paths:
            # A namespace each: what is left of one path is not in the way of the next.
            client = await Client.connect(
                stack.temporal_address,
                namespace=await servers.new_namespace(stack.temporal_address),
                data_converter=pydantic_data_converter,
                identity="recorder",
            )
            await record(path, client)
            sys.stdout.write(f"{path.__name__}\n")
