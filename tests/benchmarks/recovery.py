"""How long it takes until what was lost runs again: of the daemon, of an agent, of the machine."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Protocol

from stratavore.agents import sample
from stratavore.naming import workflow_id
from tests.support import guardian, servers
from tests.support.daemon import DaemonProcess
from tests.support.whole_daemon import WholeDaemon

Launch = Callable[[DaemonProcess, str, int], Awaitable[float]]
GREETING = "Hello"


class Spread(Protocol):
    """Median and range, for people."""

    def __call__(self, values: list[float], unit: str = "") -> str: ...


async def recovering(
    daemon: DaemonProcess, directory: Path, launch: Launch, say: Callable[[str], None], spread: Spread, rounds: int
) -> None:
    """All of it. ``launch`` starts sessions of a project and waits until they run."""
    await agent_killed(daemon, directory, say, spread, 4 * rounds)
    await daemon_killed(daemon, launch, say, spread, 500, rounds)
    await rebooted(directory, launch, say, 100)


async def agent_killed(
    daemon: DaemonProcess, directory: Path, say: Callable[[str], None], spread: Spread, rounds: int
) -> None:
    """``kill -9`` of one agent; each time of another session, since one that crashes in a row waits longer."""
    project = await daemon.project(list(sample.ARGV))
    await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=rounds + 1)
    ours, bare = [], []
    for _ in range(rounds):
        (session,) = await daemon.launch(project)
        runner = await running(daemon, session, 1)
        log = daemon.home.run_directory(f"{session}.1") / "log"
        await seen(log)
        began = monotonic()
        os.kill(runner, signal.SIGKILL)
        await running(daemon, session, 2)
        ours.append(monotonic() - began)
        await seen(daemon.home.run_directory(f"{session}.2") / "log")
        bare.append(await in_bare_tmux(directory))
    say("One agent killed")
    say(
        f"  runs again after {spread([1000 * one for one in ours], ' ms')}  [goal <= 1 s]; the same program "
        f"started bare in tmux greets after {spread([1000 * one for one in bare], ' ms')}"
    )
    await daemon.command(project, "terminate", force=True)


async def running(daemon: DaemonProcess, session: str, generation: int) -> int:
    """The process of the session's runner, once it is shown as running."""
    async with asyncio.timeout(120), daemon.connection() as connection:
        while True:
            pid: int | None = await connection.fetchval(
                "SELECT pid FROM runners WHERE session_id = $1 AND generation = $2 AND status = 'running'",
                session,
                generation,
            )
            if pid:
                return pid
            await asyncio.sleep(0.005)


async def seen(log: Path) -> None:
    """Wait until the agent has greeted."""
    async with asyncio.timeout(120):
        while not log.exists() or GREETING not in log.read_text():
            await asyncio.sleep(0.005)


async def in_bare_tmux(directory: Path) -> float:
    """Seconds from asking tmux for the sample agent until it greets."""
    socket, log = directory / "bare.sock", directory / f"bare-{uuid.uuid4().hex[:8]}.log"
    began = monotonic()
    unbuffered = (sample.ARGV[0], "-u", *sample.ARGV[1:])
    command = f"{shlex.join(unbuffered)} >{shlex.quote(str(log))}"
    tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", command], check=True)
    await seen(log)
    took = monotonic() - began
    subprocess.run([*tmux, "kill-server"], check=True)
    return took


async def daemon_killed(
    daemon: DaemonProcess, launch: Launch, say: Callable[[str], None], spread: Spread, count: int, rounds: int
) -> None:
    """``kill -9`` of the daemon beside many running sessions."""
    project = await daemon.project(["cat"])
    for _ in range(count // 50):
        await launch(daemon, project, 50)
    pids = {one["runner_id"]: one["pid"] for one in await daemon.call("list_runners")}
    lengths = await settled_histories(daemon)
    times, imports = [], []
    for _ in range(rounds):
        daemon.kill()
        began = monotonic()
        daemon.spawn()

        async def supervised() -> bool:
            rows = await daemon.fetch(
                "SELECT count(*) AS n FROM runners JOIN hosts ON hosts.daemon_id = watched_by WHERE ended_at IS NULL"
            )
            return bool(rows[0]["n"] == len(pids))

        # The lease, with the new daemon's id, is renewed before the runners are taken over.
        before = (await daemon.fetch("SELECT daemon_id FROM hosts"))[0]["daemon_id"]
        while (await daemon.fetch("SELECT daemon_id FROM hosts"))[0]["daemon_id"] == before:
            await asyncio.sleep(0.01)
        while not await supervised():
            await asyncio.sleep(0.01)
        times.append(monotonic() - began)
        await daemon.ready()
        began = monotonic()
        subprocess.run([sys.executable, "-c", "import temporalio.worker"], check=True)
        imports.append(monotonic() - began)
    after = {one["runner_id"]: one["pid"] for one in await daemon.call("list_runners")}
    say(f"Daemon kill -9 with {len(pids)} running sessions")
    say(
        f"  all supervised again after {spread(times, ' s')} from its start  [goal <= 5 s]; "
        f"beside it, importing the Temporal SDK alone {spread(imports, ' s')}"
    )
    added = sum((await settled_histories(daemon)).values()) - sum(lengths.values())
    say(f"  same pids: {after == pids}; new history events: {added}")


async def histories(daemon: DaemonProcess) -> dict[str, int]:
    """The number of history events of every live session."""
    sessions = [one["session_id"] for one in await daemon.call("list_sessions")]
    client = await daemon.client()
    found = await asyncio.gather(*(client.get_workflow_handle(workflow_id(session)).describe() for session in sessions))
    return {one.id: one.history_length for one in found}


async def settled_histories(daemon: DaemonProcess) -> dict[str, int]:
    """The same, once nothing is added any more: a session runs a moment before its workflow hears of it."""
    before: dict[str, int] = {}
    while (now := await histories(daemon)) != before:
        before = now
        await asyncio.sleep(2)
    return now


async def rebooted(directory: Path, launch: Launch, say: Callable[[str], None], count: int) -> None:
    """No process is left, and one daemon is started."""
    daemon = WholeDaemon(servers.new_home(directory))
    try:
        await daemon.start()
        project = await daemon.project(["cat"])
        for _ in range(count // 50):
            await launch(daemon, project, 50)
        await settled_histories(daemon)
        await daemon.power_cut()
        began = monotonic()
        daemon.spawn()
        await daemon.ready()
        answers = monotonic() - began
        async with asyncio.timeout(300), daemon.connection() as connection:
            while True:
                again = await connection.fetchval(
                    "SELECT count(*) FROM runners WHERE generation = 2 AND status = 'running'"
                )
                if again == count:
                    break
                await asyncio.sleep(0.02)
        took = monotonic() - began
        say(f"Reboot with {count} sessions")
        say(
            f"  all running {took:.1f} s after the daemon's start  [goal <= 30 s]; until it answered, with its "
            f"servers started, {answers:.1f} s; load {os.getloadavg()[0]:.1f}"
        )
    finally:
        daemon.kill()
        await guardian.clean(daemon.home)
