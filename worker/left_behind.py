"""What agents wrote while this host was lost, and their sessions went on elsewhere: counted once it is back.

Their conversations went on from what was stored by then, so the files here are of the past. What was spent was spent.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from stratavore.agents.adapter import Observation, Start
from stratavore.agents.registry import adapter_for
from stratavore.environment import of_this_process, read_environment
from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, liveness
from stratavore.runtime.rundir import RunDirectory
from stratavore.store import messages, runners, sessions, usage
from stratavore.store.database import Database
from stratavore.store.messages import Said
from stratavore.store.runners import LeftBehind
from stratavore.store.usage import Used

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
_CLOCKS = timedelta(minutes=5)
"""So much earlier than its runner's start by Postgres' clock a reply may be by the agent's."""
_UNSEEN = Observation(alive_seconds=0.0, quiet_seconds=None)


class Rest:
    """Counts what runners of this host had not been counted for when they ended with its lease."""

    def __init__(self, home: Home, host: str, database: Database) -> None:
        self._home = home
        self._host = host
        self._database = database

    async def look(self) -> None:
        """Count the rest of those whose agents are dead. A reply that is known is known by its id."""
        async with self._database.pool.acquire() as connection:
            found = await runners.left_behind(connection, self._host)
        for one in found:
            run = RunDirectory(self._home, one.runner_id)
            agent = await asyncio.to_thread(run.agent)
            if agent and liveness(agent) is not Liveness.DEAD:
                continue  # it is about to be ended
            used, said = await asyncio.to_thread(self._read, one, run)
            async with self._database.transaction("rest.count") as transaction:
                await sessions.lock(transaction.connection, one.session_id)
                await usage.add(transaction.connection, used)
                await messages.add(transaction.connection, said)
                await runners.rest_counted(transaction.connection, one.runner_id)
            log.info("what %s wrote before it ended with the lease of this host is counted", one.runner_id)

    def _read(self, one: LeftBehind, run: RunDirectory) -> tuple[Sequence[Used], Sequence[Said]]:
        """All that it wrote, and what it is known of before it."""
        used: list[Used] = []
        said: list[Said] = []
        read_row = adapter_for(one.agent).read_row
        for file, subagent in self._files(one, run):
            try:
                with file.open("rb") as lines:
                    rows = [read_row(line) for line in lines if line.endswith(b"\n")]
            except FileNotFoundError:
                continue
            for row in rows:
                if row.reply and row.reply.at >= one.began - _CLOCKS:
                    used.append(Used.of(one.runner_id, one.session_id, row.reply))
                if row.message and row.message.at >= one.began - _CLOCKS:
                    said.append(Said(one.session_id, row.message, subagent))
        return usage.merged(used), said

    def _files(self, one: LeftBehind, run: RunDirectory) -> Iterator[tuple[Path, bool]]:
        """Its transcripts here, and those of agents that it started (True)."""
        adapter = adapter_for(one.agent)
        if not adapter.transcripts:
            return
        environment = read_environment(self._home.session_environment(one.session_id)) or of_this_process()
        conversations = {
            adapter.transcript_path(Start(one.session_id, id_, True, run.path, environment), one.cwd)
            for id_ in one.conversations
        }
        follower = adapter.follow({})
        for line in run.hooks.read_bytes().splitlines() if run.hooks.exists() else ():
            follower.hook(line)
            if told := follower.judge(_UNSEEN).transcript:
                conversations.add(Path(told))
        for file in sorted(filter(None, conversations)):
            yield file, False
            directory = adapter.subagent_transcripts(file)
            for other in sorted(directory.glob("*.jsonl")) if directory else ():
                yield other, True
