"""Claude Code is killed at random moments of a conversation with tools, and the conversation is whole all the same."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from stratavore.errors import RemoteError
from tests.claude_code import messages_api
from tests.claude_code.messages import Asked, Reply, Tool, Usage, say
from tests.e2e.conversing import Conversations
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

KILLS = 10


def with_tools() -> Callable[[Asked], Reply]:
    """Each prompt is answered by a tool, and then by words; each reply with tokens of its own."""
    number = 0

    def reply(asked: Asked) -> Reply:
        nonlocal number
        number += 1
        usage = Usage(input=100 + number, output=1000 + number, cache_creation=3 * number, cache_read=7 * number)
        last = asked.messages[-1]["content"]
        answered = isinstance(last, list) and any(block.get("type") == "tool_result" for block in last)
        if answered:
            return say(f"reply {number}", usage=usage, pause=0.01)
        command = {"command": f"sleep 0.2; echo {number}", "description": "count"}
        return say(f"I use a tool ({number}).", Tool("Bash", command), usage=usage, pause=0.01)

    return reply


@pytest.mark.timeout(600)
async def test_killed_at_ten_random_moments(daemon: DaemonProcess) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with messages_api.serve(with_tools()) as api:
        talk = Conversations(daemon, api)
        await talk.create("Bash")
        session = await talk.launch()
        await talk.does(session, "idle")
        for number in range(KILLS):
            await until_said(talk, session, f"prompt number {number}.")
            await asyncio.sleep(chance.uniform(0, 1.2))
            await killed(talk, session)
            await whole_turn(talk, session, f"prompt number {number}.")
        await until_said(talk, session, "the last prompt")
        await whole_turn(talk, session, "the last prompt")
        conversation = "\n".join(talk.asked[-1])
        places = [conversation.find(f"prompt number {number}.") for number in range(KILLS)]
        assert -1 not in places
        assert places == sorted(places)
        await ledger_is_true(talk, session)


async def until_said(talk: Conversations, session: str, text: str) -> None:
    """Send it, again if the agent dies over it and it is not known to have it."""
    while True:
        try:
            await talk.say(session, text)
            return
        except RemoteError as error:
            assert error.code in ("not_typed", "wrong_state"), error
            await talk.does(session, "idle")


async def whole_turn(talk: Conversations, session: str, prompt: str) -> None:
    """Wait until a prompt was answered, with its tool and its words."""
    try:
        await until(lambda: answered(talk, prompt), what=f"a whole turn of {prompt!r}")
    except AssertionError as error:
        runner = await talk.runner(session)
        asked = "\n".join(str(texts[-1:]) for texts in talk.asked[-6:])
        raise AssertionError(f"{error}: {runner}\n{await talk.screen(runner['runner_id'])}\n{asked}") from None
    await talk.does(session, "idle")


async def killed(talk: Conversations, session: str) -> None:
    """Kill it, and wait for its next runner; who does not want to wait for the next try pauses and resumes."""
    before = (await talk.runner(session))["generation"]
    await talk.kill(session)
    found = await talk.daemon.wait(session, "recovering", "starting", "running", generation=before)
    while found["generation"] == before:
        if found["state"] == "recovering" and "the next try is" in (found["reason"] or ""):
            await talk.daemon.command(session, "pause")
            await talk.daemon.wait(session, "paused")
            await talk.daemon.command(session, "resume")
        await asyncio.sleep(0.02)
        found = await talk.daemon.wait(session, "recovering", "starting", "running", generation=before)


def answered(talk: Conversations, prompt: str) -> bool:
    """Whether a reply that uses no more tools was sent whole to a conversation with this prompt."""
    return any(
        sent.finished
        and any(prompt in text for text in sent.asked.texts)
        and isinstance(sent.answer, Reply)
        and not any(isinstance(block, Tool) for block in sent.answer.blocks)
        for sent in talk.api.sent
    )


async def ledger_is_true(talk: Conversations, session: str) -> None:
    """Every reply that was sent to its end, and that the agent wrote down, is counted once, to the token."""
    sent = {one.answer.id: one.answer.usage for one in talk.api.sent if one.finished and isinstance(one.answer, Reply)}
    files = talk.user.transcripts.glob("*/*.jsonl")  # several, if it died over its first words
    rows = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    written = {row["message"]["id"] for row in rows if row.get("type") == "assistant"}
    assert written & sent.keys(), "nothing was written down"

    async def counted() -> dict[str, Any]:
        found = await talk.daemon.fetch("SELECT * FROM usage WHERE session_id = $1", session)
        usage = {row["message_id"]: row for row in found}
        return usage if usage.keys() >= written & sent.keys() else {}

    usage = await answer(counted, what="the whole account")
    assert usage.keys() <= written
    for message_id in written & sent.keys():
        row, true = usage[message_id], sent[message_id]
        assert (row["input_tokens"], row["output_tokens"]) == (true.input, true.output)
        assert (row["cache_creation_tokens"], row["cache_read_tokens"]) == (true.cache_creation, true.cache_read)
    (totals,) = await talk.daemon.fetch(
        "SELECT sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint AS tokens,"
        " sum(cost_usd) AS cost FROM runners"
    )
    assert totals["tokens"] == sum(
        row["input_tokens"] + row["output_tokens"] + row["cache_creation_tokens"] + row["cache_read_tokens"]
        for row in usage.values()
    )
    assert totals["cost"] == sum(row["cost_usd"] or 0 for row in usage.values())
