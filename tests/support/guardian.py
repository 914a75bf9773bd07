"""Cleans up after a test run however it ends, ``kill -9`` included: waits for the end of its input.

Run as ``python -m tests.support.guardian DIRECTORY``; that directory holds every state directory of the run.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from stratavore.embedded.process import Process
from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home


def kill_strays(directory: Path) -> None:
    """Kill what runs for a state directory in ``directory``: daemons, tmux servers, agents."""
    wanted = f"STRATAVORE_HOME={directory}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (os.getpid(), os.getppid()):
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        process = Process.of(int(entry.name))
        if process is not None and any(item.startswith(wanted) for item in environment.split(b"\0")):
            process.send(signal.SIGKILL)


def kill_terminals(home: Home) -> None:
    """End the tmux servers of a state directory, and with them what runs in them."""
    for socket in home.sockets.glob("t-*"):
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)


def kill_rabbitmq(stack: EmbeddedStack) -> None:
    """End it without its farewell, which takes seconds: nobody will want what it holds."""
    for server in stack.servers():
        process = Process.of(server.pid) if server.name == "rabbitmq" and server.pid else None
        if process is not None:
            process.send(signal.SIGKILL, group=True)


async def clean(home: Home) -> None:
    """End the terminals and servers of a state directory, and delete it."""
    kill_terminals(home)
    stack = EmbeddedStack(home, None)
    kill_rabbitmq(stack)
    await stack.stop()
    for directory in (*stack.directories, home.sockets):
        shutil.rmtree(directory, ignore_errors=True)


async def _clean_all(homes: list[Home]) -> None:
    await asyncio.gather(*(clean(home) for home in homes))


def main(directory: Path) -> None:
    """Leave nothing of what lies in ``directory``."""
    kill_strays(directory)
    asyncio.run(_clean_all([Home(entry) for entry in directory.iterdir() if entry.is_dir()]))
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.read()
    main(Path(sys.argv[1]))
