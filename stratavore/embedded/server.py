"""What every embedded server is to the stack: a few facts and a few questions, a subclass for each."""

import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from stratavore.embedded.process import Command, Process, find_leader, listens
from stratavore.paths import Home

MARK = "STRATAVORE_SERVER"


class Server(ABC):
    """One server of a state directory, started or not."""

    name: ClassVar[str]
    title: ClassVar[str]
    main_port: ClassVar[str]
    """The port that clients use; listening there means running."""
    stop_signal: ClassVar[int] = signal.SIGTERM
    stop_grace: ClassVar[float] = 10
    patience: ClassVar[float] = 60
    """Seconds that a living server may take until it is ready."""

    def __init__(self, home: Home, usual_ports: Mapping[str, int]) -> None:
        self.home = home
        self.usual_ports = usual_ports

    @property
    def directory(self) -> Path:
        """Where its data lies."""
        return self.home.root / self.name

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.home.logs / f"{self.name}.log"

    @property
    def mark(self) -> str:
        """The environment entry by which its process is found even if its pid was never written down."""
        return f"{MARK}={self.home.fingerprint}/{self.name}"

    def environment(self, **more: str) -> dict[str, str]:
        """A small environment of its own, with the mark."""
        key, _, value = self.mark.partition("=")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            key: value,
            **more,
        }

    def find(self) -> Process | None:
        """Its process, found without a record."""
        return find_leader(self.mark)

    def listening(self, process: Process, ports: Mapping[str, int]) -> bool:
        """Whether this process, and no stranger, takes connections on its port."""
        return listens(process.pid, ports[self.main_port])

    @abstractmethod
    async def prepare(self, ports: Mapping[str, int]) -> None:
        """Make its directory and files; called before every start, also after any half-done earlier call."""

    @abstractmethod
    def command(self, ports: Mapping[str, int]) -> Command:
        """How it is started."""

    @abstractmethod
    async def ready(self, ports: Mapping[str, int]) -> bool:
        """Whether it answers as it should; asked once it listens."""

    @abstractmethod
    def url(self, ports: Mapping[str, int]) -> str:
        """How a client reaches it."""

    def ui(self, ports: Mapping[str, int]) -> str | None:
        """Its web page, if it has one."""
        return None


def which(program: str, *places: str | Path) -> Path | None:
    """A program in the places given or on PATH."""
    for place in places:
        if os.access(place, os.X_OK) and Path(place).is_file():
            return Path(place)
    found = shutil.which(program)
    return Path(found) if found else None
