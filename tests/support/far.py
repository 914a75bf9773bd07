"""A daemon whose servers are far away: it reaches each of them by a way that can be cut, and can fall silent."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from stratavore.paths import Home
from tests.support.daemon import DaemonProcess
from tests.support.proxy import Proxy
from tests.support.stacks import Stack


def daemon_on(home: Home, temporal: str, dsn: str, rabbitmq: str) -> DaemonProcess:
    """A daemon on these servers, with a namespace and a host name of its own."""
    return DaemonProcess(
        home,
        temporal=temporal,
        namespace=f"test-{uuid.uuid4().hex[:12]}",
        dsn=dsn,
        rabbitmq=rabbitmq,
        host=f"h-{uuid.uuid4().hex[:8]}",
    )


@asynccontextmanager
async def far_away(
    home: Home, stack: Stack, dsn: str, rabbitmq: str
) -> "AsyncIterator[tuple[DaemonProcess, dict[str, Proxy]]]":
    """A daemon that reaches its servers by proxies."""
    urls = {"temporal": f"tcp://{stack.temporal_address}", "postgres": dsn, "rabbitmq": rabbitmq}
    async with AsyncExitStack() as open_:
        proxies = {name: await open_.enter_async_context(Proxy.before(url)) for name, url in urls.items()}
        temporal = proxies["temporal"].url.rpartition("//")[2].rstrip("/")
        daemon = daemon_on(home, temporal, proxies["postgres"].url, proxies["rabbitmq"].url)
        await daemon.start()
        daemon.dsn = dsn  # the test itself goes straight there
        try:
            yield daemon, proxies
        finally:
            daemon.kill()
