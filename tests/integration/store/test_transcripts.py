"""Files of conversations: stored once, in order, and only what the current runner of this host wrote."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from stratavore.agents.conversation import Message, Reply, Tokens
from stratavore.errors import InvalidInput
from stratavore.models.states import SessionState
from stratavore.runtime.tail import Place
from stratavore.store import messages, sessions, transcripts, usage
from stratavore.store.messages import Said
from stratavore.store.transcripts import Key, Part
from stratavore.store.usage import Used
from tests.integration.store.steps import HOST, Session, Store

AT = datetime(2026, 6, 1, tzinfo=UTC)


def part(session: Session, runner_id: str, content: bytes, start: int = 0, name: str = "a.jsonl") -> Part:
    return Part(
        runner_id=runner_id,
        key=Key(session.session_id, "conversation", name),
        subagent=False,
        path=f"/there/{name}",
        part=0,
        start=start,
        packed=transcripts.pack(content),
        after=Place(start + len(content), b"mark"),
        rows=content.count(b"\n"),
        unknown_rows=0,
    )


async def keep(store: Store, *parts: Part, host: str = HOST) -> list[Part]:
    async with store.database.transaction("test") as transaction:
        return await transcripts.keep(transaction.connection, host, parts)


async def stored(store: Store, session: Session) -> list[bytes]:
    async with store.database.pool.acquire() as connection:
        files = await transcripts.files(connection, session.session_id)
        return [b"".join([piece async for piece in transcripts.content(connection, one.id)]) for one in files]


async def test_what_is_stored_is_what_was_written(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    first, second = b'{"a":"\xff\x00"}\n', b"{}\n"
    assert await keep(store, part(session, runner, first))
    assert await keep(store, part(session, runner, second, len(first)))
    assert await stored(store, session) == [first + second]
    (row,) = await store.fetch("SELECT read_to, rows FROM transcripts")
    assert tuple(row) == (len(first + second), 2)


async def test_bytes_are_stored_once_and_without_gaps(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    assert await keep(store, part(session, runner, b"{}\n"))
    assert await keep(store, part(session, runner, b"{}\n")) == []
    assert await keep(store, part(session, runner, b"{}\n", 6)) == []
    assert await stored(store, session) == [b"{}\n"]


async def test_a_file_that_was_begun_anew_is_another_part(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await keep(store, part(session, runner, b"{1}\n"))
    assert await keep(store, replace(part(session, runner, b"{2}\n"), part=2)) == []
    assert await keep(store, replace(part(session, runner, b"{2}\n"), part=1))
    assert await stored(store, session) == [b"{2}\n"]
    assert (await store.fetch("SELECT count(*) AS n FROM transcript_chunks"))[0]["n"] == 2


async def test_a_runner_of_the_past_or_of_another_host_stores_nothing(store: Store) -> None:
    session = Session(await store.project())
    first = (await store.runner(session)).runner_id
    assert await keep(store, part(session, first, b"{}\n"), host="elsewhere") == []
    await store.do(session.record(SessionState.RECOVERING, first))
    assert await keep(store, part(session, first, b"{}\n")) == []
    second = (await store.placed(session)).runner_id
    assert await keep(store, part(session, first, b"{}\n")) == []
    assert await keep(store, part(session, second, b"{}\n"))


async def test_two_who_read_the_same_at_once_store_it_once(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    made = await asyncio.gather(*(keep(store, part(session, runner, b"{}\n")) for _ in range(5)))
    assert sorted(map(len, made)) == [0, 0, 0, 0, 1]


def used(session: Session, runner_id: str, id_: str, tokens: Tokens, model: str = "claude-opus-4-5") -> Used:
    return Used.of(runner_id, session.session_id, Reply(id_, model, AT, tokens))


async def count(store: Store, *replies: Used) -> None:
    async with store.database.transaction("test") as transaction:
        await usage.add(transaction.connection, replies)


async def counters(store: Store, runner_id: str) -> tuple[int, int, int, int, Decimal | None, int]:
    (row,) = await store.fetch(
        "SELECT input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens, cost_usd, unpriced_tokens"
        " FROM runners WHERE id = $1",
        runner_id,
    )
    return tuple(row)


async def test_the_largest_of_a_reply_counts_once(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    early, late = Tokens(100, 1, 10, 5, 10), Tokens(100, 50, 10, 5, 10)
    await count(store, used(session, runner, "a", early))
    await count(store, used(session, runner, "a", late), used(session, runner, "a", early))
    await count(store, used(session, runner, "a", early))
    cost = Decimal(100 * 5 + 50 * 25 + 10 * 10) / 1_000_000 + Decimal(5) / 2_000_000
    assert await counters(store, runner) == (100, 50, 10, 5, cost, 0)


async def test_a_reply_grows_for_the_runner_that_recorded_it_first(store: Store) -> None:
    session = Session(await store.project())
    first = (await store.runner(session)).runner_id
    await count(store, used(session, first, "a", Tokens(output=1)))
    await store.do(session.record(SessionState.RECOVERING, first))
    second = (await store.placed(session)).runner_id
    await count(store, used(session, second, "a", Tokens(output=3)), used(session, second, "b", Tokens(output=5)))
    assert (await counters(store, first))[1] == 3
    assert (await counters(store, second))[1] == 5


async def test_tokens_of_an_unknown_model_count_and_their_cost_is_unknown(store: Store) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    await count(store, used(session, runner, "a", Tokens(10, 10), "of-next-year"))
    assert (await counters(store, runner))[4:] == (None, 20)
    await count(
        store, used(session, runner, "a", Tokens(10, 15), "of-next-year"), used(session, runner, "b", Tokens(1))
    )
    assert (await counters(store, runner))[4:] == (Decimal("0.000005"), 25)
    async with store.database.pool.acquire() as connection:
        (view,) = await sessions.views(connection)
        models = {one.model: one for one in await usage.by_model(connection, session.session_id)}
    assert (view.tokens_used, view.cost_usd, view.unpriced_tokens) == (26, 0.000005, 25)
    assert models["of-next-year"].cost_usd is None


async def say(store: Store, session: Session, *texts: str) -> None:
    said = [Said(session.session_id, Message(str(uuid.uuid4()), AT, "user", text), False) for text in texts]
    async with store.database.transaction("test") as transaction:
        await messages.add(transaction.connection, said)
        await messages.add(transaction.connection, said)


async def test_words_are_found_in_their_project(store: Store) -> None:
    here, there = await store.project("here"), await store.project("there")
    session, other = Session(here), Session(there)
    await store.runner(session)
    await store.runner(other)
    await say(store, session, "The quick brown fox jumped over it", "nothing of it", "a fox", "no \x02 marks")
    await say(store, other, "another fox elsewhere")
    async with store.database.pool.acquire() as connection:
        assert len(await messages.search(connection, "foxes")) == 3
        (best,) = await messages.search(connection, '"brown fox"')
        assert best.excerpt == "The quick \x02brown\x03 \x02fox\x03 jumped over it", "short words at its ends too"
        assert (best.session_id, best.project, best.role) == (session.session_id, "here", "user")
        assert len(await messages.search(connection, "fox", project_id=here.project_id)) == 2
        assert len(await messages.search(connection, "fox -elsewhere", limit=1)) == 1
        for refused in ("the", "", "%%%", "\x00"):
            with pytest.raises(InvalidInput, match="no word"):
                await messages.search(connection, refused)
        with pytest.raises(InvalidInput, match="Ask for"):
            await messages.search(connection, "fox", limit=0)
