"""This host: room on the disk, its lease, and the programs that sessions need."""

import asyncio
import os
import shutil

from stratavore import mounts
from stratavore.agents.registry import adapter_for
from stratavore.errors import StratavoreError
from stratavore.identity import known_state_directory
from stratavore.models.findings import Part, PartState
from stratavore.paths import Home
from stratavore.runtime import tmux_version
from stratavore.runtime.client import run
from stratavore.store import health, hosts
from stratavore.store.connection import Connection

LEAST_ROOM = 2 * 1024**3
"""Bytes, as of the alert StratavoreDiskLow: logs, transcripts and an embedded server's journal grow by hundreds of
megabytes. A share of the disk would call large ones full that are not."""
_START = "Start the daemon: stratavore daemon start"


async def lease(home: Home, connection: Connection, host: str) -> Part:
    """Whether the daemon of this state directory renews the lease of its host."""
    found = await hosts.holder(connection, host)
    if found is None:
        return Part(name="lease", state=PartState.PROBLEM, detail=f"the host {host} never had one", hint=_START)
    own = await asyncio.to_thread(known_state_directory, home)
    if found.left_s > 0 and own not in (None, found.state_directory):
        detail = f"the daemon of another machine or state directory has the name {host}: this one does nothing for it"
        hint = "Give one of them another name with STRATAVORE_HOST, and start it again"
        return Part(name="lease", state=PartState.PROBLEM, detail=detail, hint=hint)
    good = found.left_s > 0
    detail = f"renewed {found.renewed_s:.0f} s ago, " + (
        f"good for {found.left_s:.0f} s more" if good else f"and ran out {-found.left_s:.0f} s ago"
    )
    return Part(
        name="lease",
        state=PartState.OK if good else PartState.PROBLEM,
        detail=detail,
        hint="" if good else f"{_START}. Until then the sessions of {host} are not looked after",
        figures={"renewed_s": round(found.renewed_s, 1), "left_s": round(found.left_s, 1)},
    )


async def disk(home: Home) -> Part:
    """Whether there is room where the state directory is."""
    usage = await asyncio.to_thread(shutil.disk_usage, home.root)
    enough = usage.free >= LEAST_ROOM
    free = usage.free / 1024**3
    return Part(
        name="disk",
        state=PartState.OK if enough else PartState.PROBLEM,
        detail=f"{free:.1f} GB of {usage.total / 1024**3:.1f} GB are free at {home.root}",
        hint="" if enough else "Make room there: when it is full, nothing more can be written down",
        figures={"free_gb": round(free, 2), "total_gb": round(usage.total / 1024**3, 2)},
    )


async def tmux(home: Home) -> Part:
    """Whether terminals can be opened."""
    try:
        said = await run(("tmux", "-V"), cwd=home.root, environment=os.environ, input_="", timeout=5)
        version = said.output.strip().removeprefix("tmux ")
    except (FileNotFoundError, TimeoutError):
        version = ""
    enough = tmux_version.will_do(version)
    return Part(
        name="tmux",
        state=PartState.OK if enough else PartState.PROBLEM,
        detail=f"version {version}" if version else "it is not on the PATH of the daemon",
        hint="" if enough else tmux_version.INSTALL,
        figures={"version": version or None},
    )


async def agents(connection: Connection) -> list[Part]:
    """Whether the agents that projects launch are there. Sessions use the PATH that they were launched with."""
    return [check for name in await health.agents(connection) if (check := await _answering(name))]


async def _answering(name: str) -> Part | None:
    try:
        return await mounts.ask(f"the agent {name}", lambda: _agent(name))
    except TimeoutError:
        detail = "the directories of the daemon's PATH, or its HOME, do not answer"
        return Part(name=f"agent {name}", state=PartState.WARNING, detail=detail)


def _agent(name: str) -> Part | None:
    try:
        found = adapter_for(name).presence(os.environ)
    except StratavoreError as error:  # of a newer version
        return Part(name=f"agent {name}", state=PartState.WARNING, detail=str(error))
    if found is None:
        return None
    login = {True: "logged in", None: "whether it is logged in is not known"}[found.logged_in]
    return Part(
        name=f"agent {name}",
        state=PartState.OK if found.path else PartState.WARNING,
        detail=f"{found.path}; {login}" if found.path else f"'{found.program}' is not on the PATH of the daemon",
        hint="" if found.path else "Sessions find it by the PATH they were launched with; else install it",
        figures={"path": found.path, "logged_in": "yes" if found.logged_in else None},
    )
