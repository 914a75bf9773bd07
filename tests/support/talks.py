"""Sessions that converse while their servers are away, and the accounts of all who know what was said.

The agents are light ones that do what Claude Code does; people type into their terminals.
"""

import asyncio
import os
import stat
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aio_pika

from stratavore.environment import write_environment
from stratavore.events.broker import EXCHANGE
from stratavore.runtime.processes import Liveness, ProcessIdentity, liveness
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import target
from tests.claude_code import messages_api
from tests.claude_code.messages import Asked, Kind, Reply, Text, Usage
from tests.claude_code.messages_api import MessagesApi
from tests.claude_code.program import PrivateHome
from tests.support.daemon import DaemonProcess
from tests.support.servers import REPOSITORY
from tests.support.waiting import answer, until

_PROGRAM = REPOSITORY / "tests" / "chaos" / "harness" / "light_claude.py"
CAUGHT_UP_SECONDS = 120.0


@dataclass
class Talks:
    """Sessions of one project that all converse."""

    daemon: DaemonProcess
    api: MessagesApi
    heard: asyncio.Queue[str]
    """Ids of events, as they came to a queue of its own."""
    agents: dict[str, ProcessIdentity] = field(default_factory=dict)
    _socket: str = ""
    _turn: int = 0

    async def begin(self, count: int) -> None:
        """Launch the sessions, and let each have a first turn."""
        root = self.daemon.home.root
        user, site, bin_ = PrivateHome(root / "user"), root / "site", root / "bin"
        for directory in (site, bin_):
            directory.mkdir()
        user.create(site)
        program = bin_ / "claude"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {_PROGRAM} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        environment = user.environment(self.api.url) | {"PATH": f"{bin_}:{os.environ['PATH']}"}
        name = f"p{uuid.uuid4().hex[:8]}"
        await self.daemon.call("create_project", name=name, path=str(site), agent="claude")
        sessions = [str(uuid.uuid4()) for _ in range(count)]
        for session in sessions:
            write_environment(self.daemon.home.session_environment(session), environment)
            await self.daemon.call("launch", project=name, session_ids=[session])
        for session in sessions:
            await self.daemon.wait(session, "running")
            agent = RunDirectory(self.daemon.home, f"{session}.1").agent()
            assert agent is not None
            self.agents[session] = agent
            await self._told(session, 1)
        (row,) = await self.daemon.fetch("SELECT id::text FROM projects WHERE name = $1", name)
        self._socket = str(self.daemon.home.tmux_socket(row["id"]))
        await self.turn()

    async def turn(self) -> None:
        """A person says something in every terminal, and every agent replies: without any server of ours."""
        self._turn += 1
        for session in self.agents:
            await self._types(session, f"turn {self._turn}")
        await self.api.until(lambda: len(self._said()) == self._turn * len(self.agents))
        # The agent writes its reply down, and then tells that it is over.
        for session in self.agents:
            await self._told(session, 1 + 2 * self._turn)

    def untouched(self) -> None:
        """Every agent lives, and none was started anew."""
        assert [liveness(one) for one in self.agents.values()] == [Liveness.ALIVE] * len(self.agents)
        runners = {path.name for path in self.daemon.home.runners.iterdir()}
        assert runners == {f"{session}.1" for session in self.agents}

    async def is_caught_up(self) -> None:
        """Wait until Postgres and who listens know all that was said, and nothing twice."""
        spent = {one["message_id"]: sum(_counted(one["usage"])) for one in self._said()}
        stored: dict[str, int] = {}

        async def counted() -> bool:
            rows = await self.daemon.fetch(
                "SELECT message_id, (input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint"
                " AS tokens FROM usage"
            )
            stored.clear()
            stored.update({row["message_id"]: row["tokens"] for row in rows})
            return len(rows) >= len(spent)

        await answer(counted, CAUGHT_UP_SECONDS, f"{len(spent)} replies in the account, of which are {len(stored)}")
        assert stored == spent
        rows = await self.daemon.fetch("SELECT role, count(*) AS n FROM messages GROUP BY role")
        assert {row["role"]: row["n"] for row in rows} == {"user": len(spent), "assistant": len(spent)}
        for session in self.agents:
            await self.daemon.wait(session, "running", generation=1)
        rows = await self.daemon.fetch(
            "SELECT tokens_used FROM (SELECT sum(tokens)::bigint AS tokens_used FROM"
            " (SELECT input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens AS tokens FROM runners)"
            " AS each) AS total"
        )
        assert rows[0]["tokens_used"] == sum(spent.values())
        kinds = await self.daemon.fetch("SELECT DISTINCT type FROM events")
        assert not {row["type"] for row in kinds} & {
            "runner.failed",
            "runner.stopped",
            "session.resumed",
            "session.ended",
        }

    async def everything_was_told(self) -> None:
        """Wait until who listens has every event, each session's in order."""

        async def delivered() -> bool:
            return not await self.daemon.fetch("SELECT 1 FROM outbox WHERE NOT delivered")

        await answer(delivered, CAUGHT_UP_SECONDS, "an empty outbox")
        came: dict[str, None] = {}
        for session in self.agents:
            rows = await self.daemon.fetch(
                "SELECT id::text FROM events WHERE session_id = $1 ORDER BY sequence", session
            )
            ids = [row["id"] for row in rows]
            async with asyncio.timeout(CAUGHT_UP_SECONDS):
                while not came.keys() >= set(ids):
                    came.setdefault(await self.heard.get())  # what comes again has the same id
            assert [one for one in came if one in set(ids)] == ids

    def _said(self) -> list[dict[str, object]]:
        return [one for one in self.api.ledger() if one["kind"] is Kind.MAIN and one["finished"]]

    async def _told(self, session: str, count: int) -> None:
        """Wait until an agent's hooks have told so much: its start, and the beginning and the end of each turn."""
        hooks = RunDirectory(self.daemon.home, f"{session}.1").hooks
        await until(lambda: hooks.exists() and len(hooks.read_text().splitlines()) >= count, what=f"{count} hooks")

    async def _types(self, session: str, text: str) -> None:
        for keys in (("-l", text), ("Enter",)):
            words = ("tmux", "-u", "-S", self._socket, "send-keys", "-t", target(f"{session}.1"), *keys)
            process = await asyncio.create_subprocess_exec(*words)
            assert await process.wait() == 0


def _counted(usage: object) -> list[int]:
    assert isinstance(usage, Mapping)
    kinds = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return [int(usage[kind]) for kind in kinds]


def _reply(asked: Asked) -> Reply:
    number = len(asked.messages)
    return Reply((Text(f"Reply to {number} messages."),), usage=Usage(number, 7 * number, 11, 13 * number))


@asynccontextmanager
async def talks(daemon: DaemonProcess, rabbitmq: str, count: int = 3) -> AsyncIterator[Talks]:
    """Sessions under a daemon, and somebody who listens at a RabbitMQ."""
    connection = await aio_pika.connect_robust(rabbitmq)
    async with connection, messages_api.serve(_reply) as api:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(durable=True, auto_delete=False, exclusive=False)
        await queue.bind(exchange, "#")
        heard: asyncio.Queue[str] = asyncio.Queue()

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            heard.put_nowait(str(message.message_id))

        await queue.consume(keep, no_ack=True)
        made = Talks(daemon, api, heard)
        await made.begin(count)
        yield made
