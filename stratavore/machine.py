"""What this machine has, and how much of it is free."""

import os
import shutil
from pathlib import Path

from stratavore.models.views import MachineView

_MIB = 1024**2
_MEMINFO = Path("/proc/meminfo")


def measure(directory: Path) -> MachineView:
    """The machine as it is now, with the file system that holds a directory. Not for the event loop."""
    memory = _meminfo(_MEMINFO.read_text())
    disk = shutil.disk_usage(directory)
    return MachineView(
        processors=len(os.sched_getaffinity(0)),
        load=round(os.getloadavg()[0], 2),
        memory_mb=memory["MemTotal"],
        memory_available_mb=memory["MemAvailable"],
        disk_mb=round(disk.total / _MIB),
        disk_free_mb=round(disk.free / _MIB),
    )


def _meminfo(text: str) -> dict[str, float]:
    """Lines like ``MemTotal:  8000000 kB``, in MiB."""
    rows = (line.split() for line in text.splitlines())
    return {name.rstrip(":"): round(int(size) / 1024) for name, size, *_ in rows}
