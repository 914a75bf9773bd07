"""What the daemon tells the service manager that started it (systemd's ``sd_notify``): ready, alive, stopping."""

import os
import socket
from collections.abc import MutableMapping

_MICROSECONDS = 1_000_000


class ServiceManager:
    """Takes its address out of the environment, so that no agent or server is ever told to notify it as well."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        concerned = environment.pop("WATCHDOG_PID", str(os.getpid()))
        self.watchdog_seconds: float | None = None
        """A daemon that is silent for so long is ended and started again; None: never."""
        if microseconds.isdigit() and concerned == str(os.getpid()):
            self.watchdog_seconds = int(microseconds) / _MICROSECONDS

    def ready(self, status: str) -> None:
        """The daemon works; ``status`` is shown to people."""
        self._tell(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """The daemon is not stuck."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The daemon is about to end, as it was asked to."""
        self._tell("STOPPING=1\nSTATUS=stopping; sessions go on")

    def _tell(self, state: str) -> None:
        """Send it, if there is anybody; one who does not listen is no reason to fail."""
        if not self._address:
            return
        abstract = self._address.startswith("@")
        address = f"\0{self._address[1:]}" if abstract else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.setblocking(False)
            try:
                connection.sendto(state.encode(), address)
            except OSError:
                return
