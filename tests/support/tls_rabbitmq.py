"""A RabbitMQ of its own that speaks TLS only, and to clients with a certificate only."""

from collections.abc import Mapping
from pathlib import Path

from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.rabbitmq import USER, RabbitmqServer
from stratavore.paths import Home
from tests.support.certificates import Certificates


class TlsRabbitmq(RabbitmqServer):
    """The embedded server with another configuration."""

    def __init__(self, home: Home, certificates: Certificates) -> None:
        super().__init__(home, "s3cret")
        self._certificates = certificates

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Let it listen with TLS instead."""
        await super().prepare(ports)
        configuration = self.directory / "rabbitmq.conf"
        plain = f"listeners.tcp.local = {LOOPBACK}:{ports['amqp']}\n"
        text = configuration.read_text()
        assert plain in text
        configuration.write_text(text.replace(plain, "") + self._tls(ports["amqp"]))

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Listening is enough: who connects has patience."""
        return True

    def url(self, ports: Mapping[str, int]) -> str:
        """By the name that is in its certificate."""
        return f"amqps://{USER}:s3cret@localhost:{ports['amqp']}/"

    def _tls(self, port: int) -> str:
        found: dict[str, Path] = {
            "cacertfile": self._certificates.ca,
            "certfile": self._certificates.server.cert,
            "keyfile": self._certificates.server.key,
        }
        lines = [f"ssl_options.{name} = {path}" for name, path in found.items()]
        lines += ["ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"]
        return "\n".join(["listeners.tcp = none", f"listeners.ssl.local = {LOOPBACK}:{port}", *lines, ""])
