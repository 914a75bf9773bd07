"""A RabbitMQ of its own that speaks TLS only, and to clients with a certificate only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stratavore.embedded.ports import LOOPBACK
from stratavore.embedded.rabbitmq import USER, RabbitmqServer
from stratavore.paths import Home
from tests.support.certificates import Certificates

PASSWORD = "s3cret"


class TlsRabbitmq(RabbitmqServer):
    """The embedded server with another configuration, and more users.

    Args:
        home: its state directory.
        certificates: its own, and of whom it trusts.
        users: what each may configure, write and read, as ``rabbitmqctl set_permissions`` takes it.
    """

    def __init__(self, home: Home, certificates: Certificates, users: Mapping[str, tuple[str, str, str]]) -> None:
        super().__init__(home, PASSWORD)
        self._certificates = certificates
        self._users = users

    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Let it listen with TLS instead."""
        await super().prepare(ports)
        configuration = self.directory / "rabbitmq.conf"
        plain = f"listeners.tcp.local = {LOOPBACK}:{ports['amqp']}\n"
        text = configuration.read_text()
        assert plain in text
        configuration.write_text(text.replace(plain, self._tls(ports["amqp"])))

    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Listening is enough: who connects has patience."""
        return True

    def url(self, ports: Mapping[str, int]) -> str:
        """By the name that is in its certificate."""
        return f"amqps://{USER}:{PASSWORD}@localhost:{ports['amqp']}/"

    def _tls(self, port: int) -> str:
        files: dict[str, Path] = {
            "cacertfile": self._certificates.ca,
            "certfile": self._certificates.server.cert,
            "keyfile": self._certificates.server.key,
        }
        lines = [f"ssl_options.{name} = {path}" for name, path in files.items()]
        lines += ["ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"]
        return "\n".join(["listeners.tcp = none", f"listeners.ssl.local = {LOOPBACK}:{port}", *lines, ""])

    def _definitions(self) -> dict[str, object]:
        """With the other users; all have one password."""
        found: dict[str, Any] = super()._definitions()
        administrator, everything = found["users"][0], found["permissions"][0]
        users = [administrator | {"name": name, "tags": ""} for name in self._users]
        permissions = [
            everything | {"user": name, "configure": configure, "write": write, "read": read}
            for name, (configure, write, read) in self._users.items()
        ]
        return found | {"users": [administrator, *users], "permissions": [everything, *permissions]}
