"""What budgets cost: replies counted with three budgets over each, beside the same replies without any."""

import asyncio
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic, process_time
from uuid import uuid4

import psutil

from stratavore.agents.conversation import Reply, Tokens
from stratavore.budgets import Action, Budget, Period, Unit
from stratavore.embedded.stack import EmbeddedStack
from stratavore.store import budgets, sessions, usage
from stratavore.store.connection import Connection
from stratavore.store.database import Database
from stratavore.store.usage import Used
from tests.benchmarks.conversations import opened
from tests.integration.store.steps import Session, Store

RATE = 1000
"""Replies a second."""
PAUSE_SECONDS = 0.2
"""Between two looks of a host, as of the daemon."""
HUGE = Budget(Unit.TOKENS, Period.DAILY, Decimal(10**15), action=Action.PAUSE)


async def charging(
    stack: EmbeddedStack,
    directory: Path,
    say: Callable[[str], None],
    spread: Callable[..., str],
    rounds: int,
    seconds: float,
) -> None:
    """Twenty sessions of four projects on one host use so much; with budgets and without, in turn."""
    plain: list[tuple[float, float]] = []
    charged: list[tuple[float, float]] = []
    rate: list[float] = []
    async with opened(stack, directory) as (store, _):
        projects = [await store.project(f"p{number}") for number in range(4)]
        mine = [Session(projects[number % 4]) for number in range(20)]
        runners = [(await store.runner(session)).runner_id for session in mine]
        await _use(store.database, mine, runners, 2.0)  # all is warm
        for number in range(2 * rounds):
            if number % 2:
                await _set_budgets(store, mine)
            took = await _use(store.database, mine, runners, seconds)
            (charged if number % 2 else plain).append(took[:2])
            rate.append(took[2])
            await store.fetch("DELETE FROM budgets")
            await store.fetch("DELETE FROM usage")
    say("Charging three budgets (of everything, of a project, of a session)")
    say(f"  {spread(rate)} rows with usage a second, in looks of {PAUSE_SECONDS} s")
    for name, found in (("without budgets", plain), ("with three", charged)):
        server, ours = zip(*found, strict=True)
        both = [one + other for one, other in found]
        say(
            f"  {name}: {spread(both, ' %')} of a core: Postgres' backend {spread(list(server), ' %')}, "
            f"the daemon's side {spread(list(ours), ' %')}"
        )
    more = [sum(one) - sum(other) for one, other in zip(charged, plain, strict=True)]
    say(f"  the budgets alone: {spread(more, ' %')} of a core, median {statistics.median(more):.1f} %  [goal <= 25 %]")


async def _set_budgets(store: Store, mine: list[Session]) -> None:
    scopes = {("global", ""), *(("project", one.project.project_id) for one in mine)}
    scopes |= {("session", one.session_id) for one in mine}
    async with store.database.transaction("bench") as transaction:
        for scope in sorted(scopes):
            await budgets.set_budget(transaction.connection, *scope, HUGE)


async def _use(
    database: Database, mine: list[Session], runners: list[str], seconds: float
) -> tuple[float, float, float]:
    """Count replies as a host's reader does.

    Returns:
        Percents of a core of the server and of this process, and replies a second.
    """
    async with database.pool.acquire() as connection:
        backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
        server, ours, began = _cpu(backend), process_time(), monotonic()
        done, making = 0, 0.0
        while (now := monotonic() - began) < seconds:
            before = process_time()
            used = [_used(mine, runners, number) for number in range(done, int(now * RATE))]
            making += process_time() - before
            done += len(used)
            if used:
                await _look(connection, mine, used)
            await asyncio.sleep(PAUSE_SECONDS)
        took = monotonic() - began
        return (
            100 * (_cpu(backend) - server) / took,
            100 * (process_time() - ours - making) / took,
            done / took,
        )


async def _look(connection: Connection, mine: list[Session], used: list[Used]) -> None:
    async with connection.transaction():
        for session_id in sorted({one.session_id for one in used}):
            await sessions.lock(connection, session_id)
        await usage.add(connection, used)


def _used(mine: list[Session], runners: list[str], number: int) -> Used:
    tokens = Tokens(input=100, output=50, cache_read=9000)
    reply = Reply(str(uuid4()), "claude-opus-4-5", datetime.now(UTC), tokens)
    which = number % len(mine)
    return Used(runners[which], mine[which].session_id, reply, Decimal("0.012"))


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
