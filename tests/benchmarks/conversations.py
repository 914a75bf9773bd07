"""What conversations cost: catching up with a long one, a steady stream of replies, searching many messages."""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from time import monotonic, perf_counter, process_time
from typing import Any

import psutil
from pydantic_core import from_json

from stratavore.embedded.stack import EmbeddedStack
from stratavore.errors import InvalidInput
from stratavore.store import messages
from stratavore.store.database import Database
from stratavore.store.migrate import migrate
from tests.integration.store.steps import KEY, Store
from tests.integration.worker.conversing import Agent, agent, assistant
from tests.support import servers

Say = Callable[[str], None]
Spread = Callable[..., str]

_MEGABYTE = 1024**2
_ROOTS = (
    *("archive", "build", "commit", "conflict", "deploy", "directory", "error", "file", "function", "import", "merge"),
    *("message", "network", "package", "price", "process", "queue", "reply", "retry", "runner", "schema", "server"),
    *("session", "terminal", "test", "token", "transcript", "value", "worker"),
)
WORDS = [*_ROOTS, *(f"{one[:3]}{other}" for one in _ROOTS for other in _ROOTS if one != other)]
WORDS += [f"{one}{number}" for number in range(20) for one in WORDS[:900]]
_WEIGHTS = list(accumulate(1 / (rank + 100) for rank in range(len(WORDS))))
"""By Zipf's law, without the hundred words that are in every text and that no search looks for."""


def text(words: int, source: random.Random) -> str:
    """So many words, some of them often and most of them seldom, as people's are."""
    return " ".join(source.choices(WORDS, cum_weights=_WEIGHTS, k=words))


def row(number: int, source: random.Random) -> bytes:
    """A row of a conversation: few words, many tools and what they gave."""
    if number % 10 < 3:
        usage: dict[str, Any] = {"cache_creation_input_tokens": 500, "cache_read_input_tokens": 90_000}
        return assistant(f"msg_{number}", number % 300, text=text(60, source), **usage)
    content: list[dict[str, Any]] = [{"type": "tool_result", "tool_use_id": "t", "content": text(500, source)}]
    given = {"type": "user", "uuid": str(uuid.uuid4()), "message": {"role": "user", "content": content}}
    return json.dumps({**given, "toolUseResult": {"stdout": text(500, source)}}).encode() + b"\n"


@asynccontextmanager
async def opened(stack: EmbeddedStack, directory: Path) -> AsyncIterator[tuple[Store, Callable[[], Any]]]:
    """A database of its own, and what makes agents whose runner runs."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    await servers.execute(stack, f"CREATE DATABASE {name}")
    await migrate(servers.dsn_of(stack, name))
    database = await Database.open(servers.dsn_of(stack, name), KEY)
    store = Store(database)
    await store.host()
    home = servers.new_home(directory)

    async def running() -> Agent:
        made = await agent(store, home, directory / uuid.uuid4().hex)
        await made.run()
        return made

    try:
        yield store, running
    finally:
        await database.close()
        await servers.execute(stack, f"DROP DATABASE {name} WITH (FORCE)")


async def catching_up(stack: EmbeddedStack, directory: Path, say: Say, spread: Spread, rounds: int) -> None:
    """100 MB of one conversation, from nothing to all of it stored."""
    source = random.Random(1)
    process = psutil.Process()
    times, parsing, grown = [], [], []
    async with opened(stack, directory) as (_, running):
        for _ in range(rounds):
            writer = await running()
            with writer.main.open("wb") as file:
                number = 0
                while file.tell() < 100 * _MEGABYTE:
                    file.write(row(number, source))
                    number += 1
            began = perf_counter()
            with writer.main.open("rb") as file:
                for line in file:
                    from_json(line)
            parsing.append(perf_counter() - began)
            before, peak = process.memory_info().rss, 0
            began = perf_counter()
            reading = asyncio.create_task(writer.reader().look([writer.watched()]))
            while not reading.done():
                peak = max(peak, process.memory_info().rss)
                await asyncio.sleep(0.02)
            await reading
            times.append(perf_counter() - began)
            grown.append((peak - before) / _MEGABYTE)
            writer.main.unlink()
    say("Catching up 100 MB of transcript")
    say(
        f"  stored and understood in {spread(times, ' s')}  [goal <= 5 s], memory grows by {spread(grown, ' MB')}  "
        f"[goal <= 100 MB]; parsing its JSON alone {spread(parsing, ' s')}"
    )


async def metering(stack: EmbeddedStack, directory: Path, say: Say, seconds: float) -> None:
    """1,000 rows with usage a second, by twenty agents."""
    async with opened(stack, directory) as (store, running):
        writers = [await running() for _ in range(20)]
        reader, watched = writers[0].reader(), [writer.watched() for writer in writers]
        for number, writer in enumerate(writers):
            writer.write(assistant(f"first_{number}", 1))
        await reader.look(watched)  # the library of prices is loaded, files are known
        rows = [[assistant(f"msg_{n}_{i}", 7) for i in range(10)] for n in range(round(seconds * 100))]
        used, began, last = process_time(), monotonic(), 0
        writing = 0.0
        while last < len(rows):
            due = min(len(rows), round((monotonic() - began) * 100))
            before = process_time()
            for number in range(last, due):
                writers[number % 20].write(b"".join(rows[number]))
            writing += process_time() - before
            last = due
            await reader.look(watched)
            await asyncio.sleep(0.2)
        took = monotonic() - began
        share = 100 * (process_time() - used - writing) / took
        counted = (await store.fetch("SELECT count(*) AS n FROM usage"))[0]["n"] - 20
        before = process_time()
        for lines in rows:
            for line in lines:
                from_json(line)
        parsing = 100 * (process_time() - before) / took
    say(f"{counted / took:.0f} rows with usage a second")
    say(f"  cost {share:.1f} % of a core  [goal <= 25 %]; parsing their JSON alone {parsing:.1f} %")


async def searching(stack: EmbeddedStack, directory: Path, say: Say, spread: Spread, count: int) -> None:
    """Words, phrases and exclusions in many messages, rare and frequent ones."""
    source = random.Random(2)
    async with opened(stack, directory) as (store, running):
        writer = await running()
        texts = [text(60, source) for _ in range(count)]
        await store.fetch(
            "INSERT INTO messages (session_id, message_id, at, role, text)"
            " SELECT $1, i::text, now() - i * interval '1 minute', 'user', text"
            " FROM unnest($2::text[]) WITH ORDINALITY AS given (text, i)",
            writer.session.session_id,
            texts,
        )
        await store.fetch("VACUUM ANALYZE messages")
        times, bare = [], []
        for _ in range(200):
            words = text(source.choice((1, 1, 2, 3)), source)
            words = source.choice((words, f'"{words}"', f"{words} -{text(1, source)}"))
            began = perf_counter()
            async with store.database.pool.acquire() as connection:
                try:
                    await messages.search(connection, words)
                except InvalidInput:
                    continue
            times.append(1000 * (perf_counter() - began))
            began = perf_counter()
            await store.fetch("SELECT count(*) FROM messages WHERE words @@ websearch_to_tsquery('english', $1)", words)
            bare.append(1000 * (perf_counter() - began))
    times.sort()
    bare.sort()
    say(f"Searching {count} messages")
    say(
        f"  p95 {times[len(times) * 95 // 100]:.1f} ms  [goal <= 100 ms], all {spread(times, ' ms')}; "
        f"counting what matches p95 {bare[len(bare) * 95 // 100]:.1f} ms, all {spread(bare, ' ms')}"
    )
