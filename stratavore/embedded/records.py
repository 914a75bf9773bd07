"""``servers.json``: addresses, ports and processes of the servers, written before anything relies on them."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from stratavore.embedded.process import Process


@dataclass(frozen=True)
class Record:
    """What is known of one server.

    ``url`` is how a client reaches it, password included (the file is 0600). Without ports it is not ours.
    """

    url: str = ""
    ui: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    process: Process | None = None

    @property
    def external(self) -> bool:
        """Whether the server is not ours to start and stop."""
        return bool(self.url) and not self.ports

    def living(self) -> Process | None:
        """Its process, if that still lives."""
        return self.process if self.process is not None and self.process.alive() else None


class Records:
    """The records of one state directory, each change on disk before the call returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = _read(path)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __getitem__(self, name: str) -> Record:
        return self._entries.get(name, Record())

    def ports(self, *, but: str) -> set[int]:
        """Every port promised to a server other than ``but``."""
        return {port for name, record in self._entries.items() if name != but for port in record.ports.values()}

    def put(self, name: str, record: Record) -> None:
        """Remember this of a server."""
        if record == self._entries.get(name):
            return
        self._entries[name] = record
        write_private(self._path, {key: asdict(entry) for key, entry in self._entries.items()})

    def forget_process(self, name: str) -> None:
        """Its process is gone; the ports stay, to be taken again."""
        if name in self._entries:
            self.put(name, replace(self._entries[name], process=None))


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with mode 0600; after any death, power loss too, the file is the old or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive power loss."""
    _sync(path, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make what is in a file survive power loss."""
    _sync(path)


def _sync(path: Path, flags: int = 0) -> None:
    handle = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, Record]:
    try:
        entries = json.loads(path.read_text())
        return {
            name: Record(
                url=entry["url"],
                ui=entry["ui"],
                ports=entry["ports"],
                process=Process(**entry["process"]) if entry["process"] else None,
            )
            for name, entry in entries.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        # Absent, or no file of ours: living servers are found by their environment, and ports chosen again.
        return {}
