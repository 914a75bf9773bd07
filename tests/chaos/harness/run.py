"""A run: begin, faults and commands by the plan, rest, and what was found."""

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TypeVar

from stratavore.agents.claude.transcript import read_row
from stratavore.cancelling import strays_fail
from stratavore.embedded.temporal import cache_directory
from stratavore.paths import Home
from stratavore.store.connection import AWAY
from tests.chaos.harness.faults import Faults
from tests.chaos.harness.host import Host
from tests.chaos.harness.listener import Listener
from tests.chaos.harness.network import Network
from tests.chaos.harness.observer import Observer
from tests.chaos.harness.record import Answered, Event, Record, Row, Session
from tests.chaos.harness.schedule import Fault, Step
from tests.chaos.harness.servers import Servers
from tests.chaos.harness.workload import Workload
from tests.claude_code.messages import Asked, Kind, Reply, Usage
from tests.claude_code.messages import say as reply_of
from tests.claude_code.messages_api import MessagesApi, serve

BEGIN_SECONDS = 90.0
LAST_LOOKS = 10
"""Tries to see at the end what Postgres shows."""
COMMAND_SECONDS = 240.0
"""In which what was begun before the last fault has ended."""
REST_SECONDS = 90.0
"""In which everything has come to rest after the last fault, or a promise is broken; and for each session:"""
REST_SECONDS_EACH = 1.0
_AWAY = (*AWAY, ValueError)
_COUNTED = ("input", "output", "cache_creation", "cache_read")

T = TypeVar("T")


class Run:
    """One run on fresh state directories, one a host. The first host has the servers."""

    def __init__(self, homes: Sequence[Home], steps: Sequence[Step], seed: int, say: Callable[[str], None]) -> None:
        self.record = Record()
        self.hosts = [Host(name, home, {}) for name, home in zip("abcdefgh", homes, strict=False)]
        self.servers = Servers(homes[0])
        self.done: list[str] = []
        """What was done, and when."""
        self._steps = steps
        self._say = say
        self._began = time.time()
        self._chance = random.Random(f"replies {seed}")
        self._replies = 0
        self._conversations: dict[str, set[str]] = defaultdict(set)

    async def through(self, sessions: int, real: int) -> Record:
        """All of it. Afterwards the servers and the first daemon still live, to be looked at."""
        async with AsyncExitStack() as ending:
            api = await ending.enter_async_context(serve(self._reply))
            observer = Observer(self.hosts, self.servers, self.record)
            ending.callback(observer.close)
            listener = Listener(self.servers, self.record)
            work = Workload(self.hosts, self.record, sessions=sessions, real=real, messages_url=api.url)
            ending.callback(work.remove)
            ending.callback(work.end)
            first, *others = self.hosts
            first.settings = work.environment(first) | {"XDG_CACHE_HOME": str(cache_directory().parent)}
            first.up.set()
            tasks = [asyncio.create_task(self._part(one)) for one in (first.supervise, listener.listen)]
            ending.push_async_callback(_cancel, tasks)
            await self._until("the daemon and the broker", listener.bound.is_set, BEGIN_SECONDS)
            self._note(f"servers ready; boot id can{'' if first.may_boot else 'not'} be changed")
            networks = [await ending.enter_async_context(Network.to(self.servers)) for _ in others]
            for host, network in zip(others, networks, strict=True):
                host.settings = work.environment(host) | network.settings
                host.up.set()
                tasks.append(asyncio.create_task(self._part(host.supervise)))
                await self._until(f"the daemon of {host.name}", host.answers, BEGIN_SECONDS)
            tasks.append(asyncio.create_task(self._part(observer.watch)))
            await work.begin()
            await self._until("the first runners", lambda: self._filled(), BEGIN_SECONDS + sessions)
            self._note(f"{len(self.record.sessions)} sessions; faults begin")
            faults = Faults(self.hosts, self.servers, networks, self.record)
            await self._follow(faults, work)
            await faults.end()
            self._note("faults end")
            self.record.counts = dict(sum((host.ends for host in self.hosts), faults.counts))
            await self._rest(api, observer, work)
        return self.record

    async def _part(self, part: Callable[[], Awaitable[None]]) -> None:
        """Do what never ends. If it fails, that is told, and it begins again: nobody else sees what it sees."""
        while True:
            try:
                with strays_fail():
                    await part()
            except Exception as error:
                self._note(f"{getattr(part, '__qualname__', part)} failed, and goes on: {error!r} {error.__cause__!r}")
            await asyncio.sleep(0.5)

    async def keep(self, evidence: Path) -> None:
        """Copy what the hosts and servers have."""
        for host in self.hosts:
            await asyncio.to_thread(host.keep, evidence / host.name)
        await self.servers.keep(evidence)

    def _reply(self, asked: Asked) -> Reply:
        """Of its own for each request, in as many pieces as it takes to be cut by a fault now and then."""
        self._replies += 1
        chance = self._chance
        usage = Usage(*(chance.randrange(1, 5000) for _ in range(4)))
        words = "word " * chance.randrange(1, 120)
        return reply_of(
            f"Reply {self._replies}: {words}end {self._replies}.", usage=usage, pause=chance.choice([0, 0.02, 0.2])
        )

    async def _follow(self, faults: Faults, work: Workload) -> None:
        began = time.monotonic()
        doing: set[asyncio.Task[None]] = set()
        for step in self._steps:
            await asyncio.sleep(max(0.0, began + step.at - time.monotonic()))
            task = asyncio.create_task(self._do(step, faults, work), name=step.what)
            doing.add(task)
            task.add_done_callback(doing.discard)
        if doing:
            await asyncio.wait(doing, timeout=COMMAND_SECONDS)
        for task in doing:
            self.record.unsettled = f"'{task.get_name()}' did not end within {COMMAND_SECONDS:.0f} s"
            task.cancel()

    async def _do(self, step: Step, faults: Faults, work: Workload) -> None:
        try:
            done = await (faults.do(step) if isinstance(step.what, Fault) else work.do(step))
        except Exception as error:
            done = f"did not work: {error!r}"
            self.record.unsettled = f"{step.what} {done}"
        if done:
            self._note(f"{step.what}: {done}", loud=isinstance(step.what, Fault))

    async def _rest(self, api: MessagesApi, observer: Observer, work: Workload) -> None:
        """Wait until nothing moves any more; then ask everybody for a last reply, and wait again."""
        bound = REST_SECONDS + REST_SECONDS_EACH * len(self.record.sessions)
        await self._settled("states", self._as_meant, bound)
        with suppress(*_AWAY):
            await self._collect_conversations()
        states = {id_: row.state for id_, row in (self.record.last.rows or {}).items()}
        talking = [one for one in self.record.sessions.values() if one.talks and states.get(one.id) == "running"]
        await asyncio.gather(*(self._last_word(one, api, work) for one in talking))
        await self._settled("replies, counts and events", lambda: self._all_told(api, work), bound)
        for _ in range(LAST_LOOKS):
            if (await observer.look()).rows is not None:
                break
        self.record.orphans = await asyncio.to_thread(observer.orphans)
        await self._collect(api, work)

    async def _settled(self, what: str, condition: Callable[[], Awaitable[str]], seconds: float) -> None:
        """Wait until there is nothing that the condition names, for two looks in a row."""
        deadline, calm, why = time.monotonic() + seconds, 0, ""
        while calm < 2:
            try:
                why = await condition()
            except _AWAY as error:
                why = f"Postgres does not answer: {error!r}"
            calm = 0 if why else calm + 1
            if time.monotonic() > deadline:
                self.record.unsettled = self.record.unsettled or f"{what} after {seconds:.0f} s: {why}"
                return
            await asyncio.sleep(1.0)
        self._note(f"at rest: {what}")

    async def _as_meant(self) -> str:
        rows = self.record.last.rows
        if rows is None:
            return "Postgres does not answer"
        for session in self.record.sessions.values():
            row = rows.get(session.id)
            if row is None or not _rests(session, row):
                return f"session {session.id} is {row.state if row else 'missing'}, meant to be {session.meant}"
            if row.state == "running" and f"{session.id}.{row.generation}" not in self.record.last.agents:
                return f"session {session.id} has no process"
        return ""

    async def _last_word(self, session: Session, api: MessagesApi, work: Workload) -> None:
        for _ in range(5):
            if await work.send(session, word="Last prompt"):
                break
            await asyncio.sleep(2)
        text = session.prompts[-1].text
        with suppress(TimeoutError):
            await api.until(lambda: any(text in "\n".join(one.texts[-3:]) for one in self._of(api, session)), 30)

    async def _all_told(self, api: MessagesApi, work: Workload) -> str:
        if any(one.ended_at is None for one in api.sent):
            return "a reply is being sent"
        await self._collect_ledger()
        self.record.transcripts = await asyncio.to_thread(transcripts, work.transcripts)
        if missing := self.record.transcripts.keys() - self.record.ledger.keys():
            return f"reply {min(missing)} is not counted"
        (outbox,) = await self.servers.fetch("SELECT count(*) AS waiting FROM outbox WHERE NOT delivered")
        if outbox["waiting"]:
            return f"{outbox['waiting']} events are not delivered"
        await self._collect_events()
        if missing := {one.id for one in self.record.committed} - {one.id for one in self.record.received}:
            return f"event {min(missing)} is not received"
        return ""

    async def _collect(self, api: MessagesApi, work: Workload) -> None:
        record = self.record
        record.notes = work.notes()
        record.transcripts = transcripts(work.transcripts)
        with suppress(*_AWAY):
            await self._collect_conversations()
            await self._collect_ledger()
            await self._collect_events()
            fenced = await self.servers.fetch("SELECT id FROM runners WHERE exit_kind = 'fenced'")
            record.fenced = frozenset(row["id"] for row in fenced)
        record.replies = [
            Answered(
                _conversation(one.asked),
                one.answer.id,
                one.answer.blocks[0].text,
                {name: getattr(one.answer.usage, name) for name in _COUNTED},
                one.finished,
                one.ended_at or time.time(),
            )
            for one in api.sent
            if one.asked.kind is Kind.MAIN and isinstance(one.answer, Reply) and hasattr(one.answer.blocks[0], "text")
        ]
        for session in record.sessions.values():
            if asked := self._of(api, session):
                record.last_requests[session.id] = asked[-1].texts

    def _of(self, api: MessagesApi, session: Session) -> list[Asked]:
        """What the session's agent asked. One that died over its first words has another conversation since."""
        ids = self._conversations.get(session.id, set()) | {session.id}
        return [one for one in api.asked(Kind.MAIN) if _conversation(one) in ids]

    async def _collect_conversations(self) -> None:
        found = await self.servers.fetch(
            "SELECT id::text, agent_session_id FROM sessions"
            " UNION SELECT session_id::text, agent_session_id FROM transcripts WHERE NOT subagent"
        )
        for session, conversation in found:
            self._conversations[session].add(str(conversation))

    async def _collect_ledger(self) -> None:
        found = await self.servers.fetch(
            "SELECT message_id, input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens FROM usage"
        )
        self.record.ledger = {row[0]: dict(zip(_COUNTED, list(row)[1:], strict=True)) for row in found}

    async def _collect_events(self) -> None:
        found = await self.servers.fetch(
            "SELECT id::text, session_id::text, sequence FROM events"
            f" WHERE time > to_timestamp({self.record.listening_since})"
        )
        self.record.committed = [Event(*row) for row in found]

    def _filled(self) -> bool:
        if not self.record.samples or not self.record.last.rows:
            return False
        rows = self.record.last.rows
        return len(rows) == len(self.record.sessions) and all(
            row.state in ("running", "queued") for row in rows.values()
        )

    async def _until(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come within {seconds:.0f} s; see {self.hosts[0].log}")
            await asyncio.sleep(0.2)

    def _note(self, line: str, *, loud: bool = True) -> None:
        line = f"{time.time() - self._began:8.2f}  {line}"
        self.done.append(line)
        if loud:
            self._say(line)


def transcripts(directories: Iterable[Path]) -> dict[str, Mapping[str, int]]:
    """Usage by reply, as the agents wrote it down: of the rows that repeat it the largest."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for file in (file for directory in directories for file in directory.rglob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            reply = read_row(line).reply
            if reply is None or not reply.id.startswith("msg_"):
                continue
            usage = json.loads(line)["message"]["usage"]
            for name in _COUNTED:
                key = f"{name}_input_tokens" if name.startswith("cache") else f"{name}_tokens"
                found[reply.id][name] = max(found[reply.id].get(name, 0), usage.get(key) or 0)
    return dict(found)


def _rests(session: Session, row: Row) -> bool:
    wanted = {
        "running": ("running", "queued"),
        "paused": ("paused",),
        "ended": ("ended",),
        "unsure": ("running", "queued", "paused", "ended"),
    }
    return row.state in wanted[session.meant]


def _conversation(asked: Asked) -> str:
    """The agent's own id of the conversation that a request belongs to."""
    return asked.headers.get("x-claude-code-session-id", "")


async def _cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
