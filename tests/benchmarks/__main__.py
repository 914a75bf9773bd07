"""What a session costs, each beside a baseline of the same run: ``make bench``.

Machines are shared and noisy: read the ratios and the spread, never a single time. Nothing here is asserted.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import psutil
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from stratavore.embedded.stack import EmbeddedStack
from stratavore.models.session import LaunchSpec, SessionInput
from stratavore.naming import TASK_QUEUE, host_queue, launch_queue, workflow_id
from tests.benchmarks import charging, conversations, hooks, limits, recovery
from tests.support import guardian, servers
from tests.support.daemon import DaemonProcess
from tests.support.world import World
from workflows.session import SessionWorkflow
from workflows.timeouts import WORKFLOW_TASK


def say(line: str = "") -> None:
    """Print a line of the report at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def spread(values: list[float], unit: str = "") -> str:
    """Median and range."""
    return f"{statistics.median(values):.3g}{unit} ({min(values):.3g}-{max(values):.3g})"


class Bare:
    """The bare engine: the same workflow on the same server, with activities that do nothing."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.world = World(client, host=f"bare-{uuid.uuid4().hex[:6]}")

    async def launch(self, count: int) -> float:
        """Start sessions at once. Returns the seconds until all of them run."""
        began = perf_counter()
        sessions = [str(uuid.uuid4()) for _ in range(count)]
        await asyncio.gather(*(self._start(session) for session in sessions))
        runners = {f"{session}.1" for session in sessions}
        while not runners <= self.world.running:
            await asyncio.sleep(0.002)
        return perf_counter() - began

    async def _start(self, session: str) -> None:
        await self.client.start_workflow(
            SessionWorkflow.run,
            SessionInput(
                session_id=session,
                project_id=str(uuid.uuid4()),
                project="bare",
                spec=LaunchSpec(agent="command", argv=("cat",), cwd="/"),
            ),
            id=workflow_id(session),
            task_queue=TASK_QUEUE,
            task_timeout=WORKFLOW_TASK,
        )

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work while the workers run."""
        world = self.world
        shared = Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=[SessionWorkflow],
            activities=[world.admit, world.place, world.find, world.record, world.refuse],
            max_concurrent_workflow_tasks=50,
            no_remote_activities=True,
        )
        host = Worker(
            self.client,
            task_queue=host_queue(world.host),
            activities=[world.supervise, world.stop, world.send],
            max_concurrent_activities=200,
        )
        launches = Worker(self.client, task_queue=launch_queue(world.host), activities=[world.launch])
        async with shared, host, launches:
            await work()


async def ours(daemon: DaemonProcess, project: str, count: int) -> float:
    """Launch sessions at once through the daemon. Returns the seconds until all of them run."""
    began = perf_counter()
    sessions = await daemon.launch(project, count)
    async with daemon.connection() as connection:
        while True:
            running = await connection.fetchval(
                "SELECT count(*) FROM sessions WHERE state = 'running' AND id = ANY ($1::uuid[])", sessions
            )
            if running == count:
                return perf_counter() - began
            await asyncio.sleep(0.005)


async def end_all(daemon: DaemonProcess) -> None:
    """End every session."""
    await daemon.command("all", "terminate", force=True)
    async with asyncio.timeout(300):
        while await daemon.call("list_sessions"):
            await asyncio.sleep(0.2)


async def launches(daemon: DaemonProcess, bare: Bare, rounds: int, at_once: int) -> None:
    """Launch to running, beside the bare engine, in turn."""
    project = await daemon.project(["cat"])
    await ours(daemon, project, 3)  # both sides warm
    single: dict[str, list[float]] = {"ours": [], "bare": []}
    many: dict[str, list[float]] = {"ours": [], "bare": []}

    async def measure() -> None:
        await bare.launch(3)
        for _ in range(rounds * 3):
            single["bare"].append(await bare.launch(1))
            single["ours"].append(await ours(daemon, project, 1))
        for _ in range(rounds):
            many["bare"].append(at_once / await bare.launch(at_once))
            many["ours"].append(at_once / await ours(daemon, project, at_once))

    await bare.run(measure)
    latency = [mine / theirs for mine, theirs in zip(single["ours"], single["bare"], strict=True)]
    rate = [mine / theirs for mine, theirs in zip(many["ours"], many["bare"], strict=True)]
    say("Launch to running")
    say(
        f"  one at a time: ours {spread([1000 * one for one in single['ours']], ' ms')}, bare engine "
        f"{spread([1000 * one for one in single['bare']], ' ms')}, ratio {spread(latency)}  [goal <= 2.5]"
    )
    say(
        f"  {at_once} at once: ours {spread(many['ours'], '/s')}, bare engine {spread(many['bare'], '/s')}, "
        f"ratio {spread(rate)}  [goal >= 0.75]"
    )
    await end_all(daemon)


async def idle(daemon: DaemonProcess, count: int, seconds: float) -> None:
    """What many idle sessions cost the daemon."""
    project = await daemon.project(["cat"])
    have = len(await daemon.call("list_runners"))
    for _ in range((count - have) // 50):
        await ours(daemon, project, 50)
    process = psutil.Process(daemon.pid)
    deadline = monotonic() + 60
    while monotonic() < deadline:  # until all of them have been seen to be idle
        runners = await daemon.call("list_runners")
        if all(one["activity"] == "idle" for one in runners):
            break
        await asyncio.sleep(0.5)
    used, began = process.cpu_times(), monotonic()
    await asyncio.sleep(seconds)
    now = process.cpu_times()
    share = 100 * (now.user + now.system - used.user - used.system) / (monotonic() - began)
    memory = process.memory_info().rss / 1024**2
    bare = psutil.Popen(
        [sys.executable, "-c", "import temporalio.worker, asyncpg, sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    await asyncio.sleep(3)
    baseline = bare.memory_info().rss / 1024**2
    bare.communicate()
    say(f"{len(runners)} idle sessions")
    say(
        f"  the daemon uses {share:.1f} % of a core over {seconds:.0f} s  [goal <= 10 %], "
        f"{memory:.0f} MB  [goal <= 200 MB]; "
        f"a process that has imported the Temporal SDK and asyncpg uses {baseline:.0f} MB"
    )


def command_line(daemon: DaemonProcess, rounds: int) -> None:
    """``stratavore runners`` beside an interpreter that imports typer."""
    program = os.path.join(os.path.dirname(sys.executable), "stratavore")
    times: dict[str, list[float]] = {"runners": [], "typer": []}
    for number in range(rounds + 1):
        for name, argv in (("runners", [program, "runners"]), ("typer", [sys.executable, "-c", "import typer"])):
            began = perf_counter()
            subprocess.run(argv, env=daemon.environment, check=True, stdout=subprocess.DEVNULL)
            if number:
                times[name].append(perf_counter() - began)
    ratios = [mine / theirs for mine, theirs in zip(times["runners"], times["typer"], strict=True)]
    say("stratavore runners")
    say(
        f"  {spread([1000 * one for one in times['runners']], ' ms')}, python -c 'import typer' "
        f"{spread([1000 * one for one in times['typer']], ' ms')}, ratio {spread(ratios)}  [goal <= 1.5]"
    )


async def converse(stack: EmbeddedStack, directory: Path, arguments: argparse.Namespace) -> None:
    """What conversations cost, in databases of their own."""
    if arguments.only in (None, "transcripts"):
        await conversations.catching_up(stack, directory, say, spread, arguments.rounds)
        await conversations.metering(stack, directory, say, min(arguments.seconds, 20))
    if arguments.only in (None, "charging"):
        await charging.charging(stack, directory, say, spread, arguments.rounds, min(arguments.seconds, 10))
    if arguments.only in (None, "search"):
        await conversations.searching(stack, directory, say, spread, 100_000)


async def main(arguments: argparse.Namespace) -> None:
    """Measure on servers of its own, and leave none."""
    with servers.guarded_directory() as directory:
        stack = EmbeddedStack(servers.new_home(directory), servers.free_ports())
        await stack.start()
        daemon = DaemonProcess(
            servers.new_home(directory),
            temporal=stack.temporal_address,
            namespace="bench",
            dsn=stack.postgres_dsn,
            rabbitmq=await servers.wait_for_rabbitmq(stack),
            host="bench",
        )
        try:
            await daemon.start(settings={"STRATAVORE_MONITOR_INTERVAL_SECONDS": "1"})
            namespace = await servers.new_namespace(stack.temporal_address)
            bare = Bare(
                await Client.connect(
                    stack.temporal_address, namespace=namespace, data_converter=pydantic_data_converter
                )
            )
            say(
                f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}; "
                "median (min-max)"
            )
            wanted: dict[str, Any] = {
                "launch": lambda: launches(daemon, bare, arguments.rounds, 50),
                "recovery": lambda: recovery.recovering(daemon, directory, ours, say, spread, arguments.rounds),
                "limits": lambda: limits.limiting(daemon, say, spread, arguments.rounds),
                "hooks": lambda: hooks.telling(daemon, say, spread, 60),
                "idle": lambda: idle(daemon, 500, arguments.seconds),
            }
            for name, work in wanted.items():
                if arguments.only in (None, name):
                    await work()
            await converse(stack, directory, arguments)
            if arguments.only in (None, "cli"):
                command_line(daemon, 15)
        finally:
            daemon.kill()
            guardian.kill_terminals(daemon.home)
            await stack.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parts = ["launch", "recovery", "limits", "hooks", "idle", "cli", "transcripts", "charging", "search"]
    parser.add_argument("--only", choices=parts)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="how long the idle daemon is watched")
    asyncio.run(main(parser.parse_args()))
