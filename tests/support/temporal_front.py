"""TLS, API keys and roles before a Temporal that has none of them, as a company's or Temporal's cloud has them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from tests.support.certificates import Pair

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class TemporalFront(grpc.GenericRpcHandler):
    """Passes calls on, unread, if the caller may make them."""

    def __init__(self, address: str, api_key: str | None, denied: Iterable[str]) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_UNLIMITED)
        self._api_key = api_key
        self._denied = frozenset(denied)
        self.address = ""
        self.calls: set[str] = set()
        """Names of what was asked and passed on."""

    @classmethod
    @asynccontextmanager
    async def before(
        cls,
        address: str,
        server: Pair,
        *,
        client_ca: Path | None = None,
        api_key: str | None = None,
        denied: Iterable[str] = (),
    ) -> "AsyncIterator[TemporalFront]":
        """One before the Temporal at an address.

        Args:
            address: of the server.
            server: the certificate that is shown.
            client_ca: clients have to show a certificate of this authority's.
            api_key: calls have to carry this key.
            denied: calls that nobody's role allows, ``RegisterNamespace`` say.
        """
        front = cls(address, api_key, denied)
        served = grpc.aio.server(handlers=[front], options=[*_UNLIMITED, ("grpc.so_reuseport", 0)])
        credentials = grpc.ssl_server_credentials(
            [(server.key.read_bytes(), server.cert.read_bytes())],
            root_certificates=client_ca.read_bytes() if client_ca else None,
            require_client_auth=client_ca is not None,
        )
        # By number, and alone: "localhost" is several addresses, of which another server may have one at this port.
        port = served.add_secure_port("127.0.0.1:0", credentials)
        front.address = f"localhost:{port}"
        await served.start()
        try:
            yield front
        finally:
            await served.stop(None)
            await front._channel.close()

    def service(self, handler_call_details: Any) -> Any:
        """How a call is answered."""
        method = str(handler_call_details.method)
        name = method.rpartition("/")[2]

        async def answer(request: bytes, context: Any) -> bytes:
            given = dict(context.invocation_metadata())
            if self._api_key is not None and given.get("authorization") != f"Bearer {self._api_key}":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized.")
            if name in self._denied:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "Request unauthorized.")
            self.calls.add(name)
            try:
                call: Any = self._channel.unary_unary(method)
                answered: bytes = await call(request, metadata=_passed_on(given), timeout=context.time_remaining())
            except grpc.aio.AioRpcError as error:
                # The details tell the SDK which failure it is.
                context.set_trailing_metadata(
                    tuple((key, value) for key, value in error.trailing_metadata() or () if key.endswith("-bin"))
                )
                await context.abort(error.code(), error.details() or "")
                raise
            return answered

        return grpc.unary_unary_rpc_method_handler(answer)


def _passed_on(given: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What belongs to the call, and not to the connection to us."""
    ours = ("grpc-", "user-agent", "authorization", "content-type", "te")
    return tuple((key, value) for key, value in given.items() if not key.startswith(ours))
