"""A household of sessions in every state, on a whole Stratavore that a test may hurt."""

import asyncio
import os
import re
import shutil
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.request import urlopen

import aio_pika

from cli.client import Unanswered
from stratavore.agents import sample
from stratavore.errors import StratavoreError
from stratavore.events.broker import EXCHANGE
from stratavore.runtime.processes import Liveness, identify, liveness
from stratavore.runtime.rundir import RunDirectory
from tests.support.processes import marked
from tests.support.waiting import answer, until
from tests.support.whole_daemon import WholeDaemon

QUEUE = "household"
RECOVERY_SECONDS = 150.0


@dataclass(frozen=True)
class Standing:
    """How every session stands: state, generation, the agent's process if it runs, and the place in line."""

    state: str
    generation: int
    pid: int | None
    position: int | None


@dataclass
class Household:
    """Two sessions that run, three that wait for them in line, and one each that is paused, parked and ended."""

    daemon: WholeDaemon
    running: list[str] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    resting: list[str] = field(default_factory=list)
    told: int = 0
    """Notes that each running agent was given: its conversation."""
    heard: list[str] = field(default_factory=list)
    """Ids of the events that came to a queue of its own, in their order."""

    async def move_in(self) -> None:
        """Bring every session into its state."""
        daemon = self.daemon
        await daemon.start()
        await daemon.rabbitmq_runs()
        await self._listen()
        project = await daemon.project(list(sample.ARGV))
        await daemon.call("set_quota", project=project, name="max_concurrent_runners", value=2)
        for _ in range(2):
            self.running += await daemon.launch(project)
            await daemon.wait(self.running[-1], "running")
        for _ in range(3):
            self.queued += await daemon.launch(project)
            await daemon.wait_in_line(self.queued[-1])
        paused, ended = await daemon.launch(await daemon.project(["cat"]), 2)
        for session, action, state in ((paused, "pause", "paused"), (ended, "terminate", "ended")):
            await daemon.wait(session, "running")
            await daemon.command(session, action)
            await daemon.wait(session, state)
        self.resting = [paused, ended, await self._parked()]
        await self.talk()

    async def talk(self) -> None:
        """Tell every running agent something; it remembers it for its session."""
        self.told += 1
        for session in self.running:
            await self.daemon.call("send", target=session, text=f"note {self.told}", request_id=str(uuid.uuid4()))
            runner_id = f"{session}.{(await self.standings())[session].generation}"
            await self._shown(runner_id, f"Remembered ({self.told} so far)")

    async def standings(self) -> dict[str, Standing]:
        """How all of them stand now."""
        pids = {one["runner_id"]: one["pid"] for one in await self.daemon.call("list_runners")}
        return {
            one["session_id"]: Standing(one["state"], one["generation"], pids.get(one["runner_id"]), one["position"])
            for one in await self.daemon.call("list_sessions", all=True)
        }

    async def is_whole(self, before: Mapping[str, Standing], *, relaunched: bool) -> None:
        """Wait until who ran runs again, in its next runner or untouched; everybody else stands where he stood."""
        latest: dict[str, Standing] = {}

        async def runs() -> bool:
            nonlocal latest
            try:
                latest = await self.standings()
            except (Unanswered, StratavoreError):
                return False
            return all(
                latest[one].state == "running"
                and latest[one].generation == before[one].generation + relaunched
                and latest[one].pid is not None
                for one in self.running
            )

        try:
            await answer(runs, RECOVERY_SECONDS, "every session that ran")
        except AssertionError as error:
            raise AssertionError(f"{error}: {before}\n{latest}\n{self.daemon.tail(60)}") from None
        for session in self.running:
            pid = latest[session].pid
            assert pid is not None
            process = identify(pid)
            assert process is not None
            assert liveness(process) is Liveness.ALIVE
            assert (pid == before[session].pid) is not relaunched
            assert {one.pid for one in marked(session_id=session)} >= {pid}
            if relaunched:
                await self._shown(f"{session}.{latest[session].generation}", f"I remember {self.told} notes")
        others = [*self.queued, *self.resting]
        assert {one: latest[one] for one in others} == {one: before[one] for one in others}
        assert [latest[one].position for one in self.queued] == [1, 2, 3]
        assert all(marked(session_id=one) == [] for one in others)
        # A server that was killed may have answered once more, by a process of it that outlived it for a moment.
        found = await answer(self._reconciled, RECOVERY_SECONDS, "what differs")
        assert found is not None
        assert found["differences"] == []

    async def _reconciled(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self.daemon.call("reconcile")
        except (Unanswered, StratavoreError):
            return None
        return found

    async def everything_was_told(self) -> None:
        """Every event has come to who listens, in the order of its session."""

        # First: what is committed while they are heard is told later.
        rows = await self.daemon.fetch(
            "SELECT id::text, session_id::text AS session FROM events WHERE session_id IS NOT NULL"
            " ORDER BY session_id, sequence"
        )

        async def delivered() -> bool:
            return not await self.daemon.fetch("SELECT 1 FROM outbox WHERE NOT delivered")

        url = await self.daemon.rabbitmq_runs()
        await answer(delivered, RECOVERY_SECONDS, "an empty outbox")
        await self._hear(url)
        expected: dict[str, list[str]] = {}
        for row in rows:
            expected.setdefault(row["session"], []).append(row["id"])
        for session, ids in expected.items():
            came = list(
                dict.fromkeys(one for one in self.heard if one in set(ids))
            )  # one that came again has the same id
            assert came == ids, f"of {session}"

    async def recoveries(self) -> dict[str, float]:
        """How many recoveries the present daemon has measured, by cause."""
        url = (await self.daemon.call("daemon_status"))["metrics"]

        def read() -> str:
            with urlopen(url, timeout=10) as page:
                return str(page.read().decode())

        found = re.findall(r'stratavore_recovery_seconds_count\{cause="(\w+)"\} (\S+)', await asyncio.to_thread(read))
        return {cause: float(count) for cause, count in found}

    async def agents(self) -> set[int]:
        """The processes of all agents."""
        return {one.pid for one in (await self.standings()).values() if one.pid is not None}

    async def _shown(self, runner_id: str, text: str) -> None:
        """Wait until an agent has written this to its terminal."""
        log = RunDirectory(self.daemon.home, runner_id).log
        await until(lambda: log.exists() and text in log.read_text(), what=f"{text!r} in {log}")

    async def _parked(self) -> str:
        """A session whose program was taken away while it ran."""
        daemon = self.daemon
        program = daemon.home.root / "program"
        shutil.copy("/bin/cat", program)
        (session,) = await daemon.launch(await daemon.project([str(program)]))
        await daemon.wait(session, "running")
        program.unlink()
        (pid,) = [one["pid"] for one in await daemon.call("list_runners") if one["session_id"] == session]
        os.kill(pid, signal.SIGKILL)
        await daemon.wait(session, "parked")
        return session

    async def _listen(self) -> None:
        connection = await aio_pika.connect(self.daemon.stack.rabbitmq_url)
        async with connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            await (await channel.declare_queue(QUEUE, durable=True)).bind(exchange, "#")

    async def _hear(self, url: str) -> None:
        """Take what has come."""
        connection = await aio_pika.connect(url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(QUEUE, durable=True)
            while (message := await queue.get(fail=False)) is not None:
                self.heard.append(str(message.message_id))
                await message.ack()
