"""Servers that are away for longer than anybody waits for them: agents converse on, and all of it is caught up.

What is waited for: a statement 30 s, a step of a workflow 10 s, RabbitMQ three of its heartbeats (30 s), Temporal the
45 s after which its connection is found dead.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home
from tests.integration.worker.test_outages import paused, pid_of
from tests.support import guardian, servers
from tests.support.far import daemon_on, far_away
from tests.support.stacks import Stack
from tests.support.talks import Talks, talks
from tests.support.waiting import answer
from tests.support.whole_daemon import SERVERS

AWAY_SECONDS = float(os.environ.get("STRATAVORE_TEST_AWAY_SECONDS", "33"))
"""More for a run by hand."""

pytestmark = pytest.mark.waits


async def converse(talk: Talks) -> None:
    """Turns all along."""
    deadline = monotonic() + AWAY_SECONDS
    while monotonic() < deadline:
        await talk.turn()
        talk.untouched()
        await asyncio.sleep(AWAY_SECONDS / 10)


async def is_whole(talk: Talks) -> None:
    """What was said is known, and they go on."""
    await talk.is_caught_up()
    await talk.everything_was_told()
    await talk.turn()
    await talk.is_caught_up()
    talk.untouched()


@pytest.fixture
async def private_stack(homes: Path) -> AsyncIterator[EmbeddedStack]:
    """Servers that a test may stop."""
    home = servers.new_home(homes)
    stack = EmbeddedStack(home, servers.free_ports())
    await stack.start()
    yield stack
    await guardian.clean(home)


async def rabbitmq_of(stack: EmbeddedStack) -> str:
    async def running() -> bool:
        await stack.ensure()
        return any(one.name == "rabbitmq" and one.state == "running" for one in stack.servers())

    await answer(running, what="RabbitMQ")
    return stack.rabbitmq_url or ""


async def test_all_servers_stand_still(home: Home, private_stack: EmbeddedStack) -> None:
    rabbitmq = await rabbitmq_of(private_stack)
    daemon = daemon_on(home, private_stack.temporal_address, private_stack.postgres_dsn, rabbitmq)
    await daemon.start()
    try:
        async with talks(daemon, rabbitmq) as talk:
            with ExitStack() as away:
                for server in SERVERS:
                    away.enter_context(paused(pid_of(private_stack, server)))
                await converse(talk)
            await is_whole(talk)
    finally:
        daemon.kill()


@pytest.mark.parametrize(
    ("how", "server"), [("cut", "all"), ("lost", "all"), ("lost", "postgres"), ("lost", "rabbitmq")]
)
async def test_the_way_to_a_server_is_gone(
    home: Home, stack: Stack, database: str, rabbitmq_url: str, server: str, how: str
) -> None:
    async with far_away(home, stack, database, rabbitmq_url) as (daemon, ways), talks(daemon, rabbitmq_url) as talk:
        chosen = [ways[name] for name in (SERVERS if server == "all" else (server,))]
        for way in chosen:
            if how == "cut":
                way.is_open = False
                way.cut()
            else:
                way.lose()
        await converse(talk)
        for way in chosen:
            way.is_open = True
            way.go_on()
        await is_whole(talk)
