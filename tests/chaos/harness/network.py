"""The network between a host and the servers, which are on another one: it can be cut, and it can fall silent."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from tests.chaos.harness.servers import SERVERS, Servers
from tests.support.proxy import Proxy


class Network:
    """A proxy before each of the servers, as one host reaches them."""

    def __init__(self, proxies: dict[str, Proxy]) -> None:
        self._proxies = proxies

    @classmethod
    @asynccontextmanager
    async def to(cls, servers: Servers) -> "AsyncIterator[Network]":
        """A network that is there until the block ends."""
        async with AsyncExitStack() as open_:
            proxies = {name: await open_.enter_async_context(Proxy.before(_address(servers, name))) for name in SERVERS}
            yield cls(proxies)

    @property
    def settings(self) -> dict[str, str]:
        """How a daemon is told to take this way."""
        return {
            "STRATAVORE_TEMPORAL__ADDRESS": self._proxies["temporal"].url.rpartition("//")[2].rstrip("/"),
            "STRATAVORE_POSTGRES__DSN": self._proxies["postgres"].url,
            "STRATAVORE_RABBITMQ__URL": self._proxies["rabbitmq"].url,
        }

    def cut(self) -> None:
        """Break all connections, and take none until :meth:`mend`."""
        for one in self._proxies.values():
            one.is_open = False
            one.cut()

    def hold(self) -> None:
        """Pass on nothing, and say nothing of it, until :meth:`mend`."""
        for one in self._proxies.values():
            one.hold()

    def mend(self) -> None:
        """It works again."""
        for one in self._proxies.values():
            one.is_open = True
            one.go_on()


def _address(servers: Servers, name: str) -> Callable[[], str]:
    def url() -> str:
        found = servers.url(name)
        return found if "//" in found or not found else f"tcp://{found}"

    return url
