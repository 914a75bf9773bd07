"""Who is who in the process table, and how they are signalled."""

import os
import signal
import time
from collections.abc import Iterable

from stratavore import procfs
from tests.chaos.harness.record import Agent


def living(process: Agent) -> Agent | None:
    """The process, if it and no other has its pid."""
    try:
        stat = procfs.stat(process[0])
    except (OSError, ValueError):
        return None
    return process if stat.start_ticks == process[1] and not stat.ended else None


def trees(roots: Iterable[int]) -> set[int]:
    """These processes and their descendants."""
    children: dict[int, list[int]] = {}
    for pid in procfs.pids():
        try:
            children.setdefault(procfs.stat(pid).parent, []).append(pid)
        except (OSError, ValueError):
            continue
    found, waiting = set[int](), list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal them; who is gone is gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def started_at(agent: Agent) -> float:
    """When a process was started (Unix time)."""
    with open("/proc/uptime") as file:
        booted = time.time() - float(file.read().split()[0])
    return booted + agent[1] / os.sysconf("SC_CLK_TCK")
