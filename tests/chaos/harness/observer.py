"""Looks from outside, again and again: the process table, and what Postgres shows."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import asyncpg

from stratavore.runtime.processes import Snapshot
from stratavore.store.connection import AWAY
from tests.chaos.harness.host import Host
from tests.chaos.harness.processes import living
from tests.chaos.harness.record import Agent, Record, Row, Sample, session_of
from tests.chaos.harness.servers import Servers

INTERVAL_SECONDS = 0.5
_ANSWER_SECONDS = 3.0
_ROWS = """
SELECT sessions.id::text, session_states.state, sessions.generation, projects.name AS project, ticket,
       CASE WHEN admissions.session_id IS NULL THEN NULL ELSE granted_at IS NOT NULL END AS granted, runners.pid
FROM sessions JOIN session_states ON session_states.id = sessions.id JOIN projects ON projects.id = sessions.project_id
LEFT JOIN admissions ON admissions.session_id = sessions.id
LEFT JOIN runners ON runners.session_id = sessions.id AND runners.generation = sessions.generation
                 AND runners.ended_at IS NULL
"""


class Observer:
    """Adds a sample to the record, every half second."""

    def __init__(self, hosts: Sequence[Host], servers: Servers, record: Record) -> None:
        self._hosts = hosts
        self._servers = servers
        self._record = record
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._looking = asyncio.Lock()

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def look(self) -> Sample:
        """Look once. One look at a time: the connection to Postgres takes one question."""
        async with self._looking:
            return await self._look()

    async def _look(self) -> Sample:
        at = time.time()
        agents, doubled = await asyncio.to_thread(self._agents)
        until = time.time()
        rows = await self._rows()
        last = self._record.samples[-1] if self._record.samples else None
        if last is not None:  # what is as it was takes no room
            agents = last.agents if last.agents == agents else agents
            rows = last.rows if last.rows == rows else rows
        sample = Sample(at, agents, doubled, rows, until)
        self._record.samples.append(sample)
        return sample

    def orphans(self) -> tuple[str, ...]:
        """Processes that carry the marker of a runner whose agent does not live."""
        agents, _ = self._agents()
        return tuple(
            f"process {one.pid} of runner {runner} on {host.name}"
            for host in self._hosts
            for runner, processes in Snapshot().marked(home=host.home.root).items()
            if runner not in agents
            for one in processes
            if living((one.pid, one.start_ticks))
        )

    def _agents(self) -> tuple[Mapping[str, Agent], tuple[tuple[str, str], ...]]:
        agents: dict[str, Agent] = {}
        by_session = defaultdict(list)
        for host in self._hosts:
            for runner in Snapshot().marked(home=host.home.root):
                agent = host.runner_process(runner, "pid")
                if agent is not None:
                    agents[runner] = agent
                    by_session[session_of(runner)].append(runner)
        # The table is read bit by bit: only who still lives when both were seen lived beside the other.
        doubled = tuple(
            (runners[0], runners[1])
            for runners in map(sorted, by_session.values())
            if len(runners) > 1 and all(living(agents[runner]) for runner in runners)
        )
        return agents, doubled

    async def _rows(self) -> Mapping[str, Row] | None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._servers.url("postgres"))
                found = await self._connection.fetch(_ROWS)
        except (*AWAY, ValueError):
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            return None
        return {
            row["id"]: Row(row["state"], row["generation"], row["project"], row["ticket"], row["granted"], row["pid"])
            for row in found
        }

    def close(self) -> None:
        """Let go of Postgres."""
        if self._connection is not None:
            self._connection.terminate()
