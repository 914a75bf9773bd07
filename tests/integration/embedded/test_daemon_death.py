"""The daemon dies at every named point of a start; the next start works and doubles nothing."""

import asyncio
import os
import signal
import subprocess
import sys

import asyncpg
import pytest

from stratavore.embedded.stack import EmbeddedStack
from stratavore.killpoints import VARIABLE
from stratavore.paths import Home
from tests.integration.embedded.test_stack import belonging_to, pids
from tests.support.servers import REPOSITORY, free_ports

POINTS = ("secrets", "intent", "initdb", "cluster", "spawn", "record")


async def start_elsewhere(home: Home, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.start_stack"),
        cwd=REPOSITORY,
        env={**os.environ, "STRATAVORE_HOME": str(home.root), **environment},
        stdout=subprocess.PIPE,
        process_group=0,
    )


async def check(home: Home) -> EmbeddedStack:
    """The next daemon: all runs, each server once."""
    stack = EmbeddedStack(home, free_ports(rabbitmq=False))
    await stack.start()
    connection = await asyncpg.connect(stack.postgres_dsn)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    processes = belonging_to(home, stack)
    assert len([line for line in processes if "start-dev" in line]) == 1
    assert len([line for line in processes if "bin/postgres" in line]) == 1
    return stack


@pytest.mark.parametrize("point", [f"embedded.{name}.{side}" for name in POINTS for side in ("before", "after")])
async def test_killed_while_starting(home: Home, point: str) -> None:
    daemon = await start_elsewhere(home, **{VARIABLE: point})
    assert await daemon.wait() == -signal.SIGKILL
    await check(home)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
async def test_servers_do_not_notice_how_the_daemon_ends(home: Home, number: signal.Signals) -> None:
    daemon = await start_elsewhere(home)
    assert daemon.stdout is not None
    assert await daemon.stdout.readline() == b"started\n"
    before = EmbeddedStack.recorded(home)
    assert before is not None
    found = pids(before)
    os.killpg(daemon.pid, number)  # as a terminal does with Ctrl-C and when it closes
    await daemon.communicate()
    assert pids(await check(home)) == found
