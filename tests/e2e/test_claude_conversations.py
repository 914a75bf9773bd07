"""What Claude Code says and spends is kept: to the token, beside what the API sent, and when its files are gone."""

import pytest
from genai_prices import Usage as Priced
from genai_prices import calc_price

from tests.claude_code import messages_api
from tests.claude_code.messages import Reply, Text, Usage, say
from tests.e2e.conversing import Conversations
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer


async def test_tokens_and_cost_are_what_the_api_sent(daemon: DaemonProcess) -> None:
    replies = [
        Reply((Text("The first."),), usage=Usage(11, 23, 500, 7000)),
        Reply((Text("The second."),), usage=Usage(13, 29, 0, 9000)),
    ]
    async with messages_api.serve(replies) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        assert await talk.ask(session, "one") == "The first."
        assert await talk.ask(session, "two") == "The second."
        sent = [one for one in api.ledger() if one["message_id"]]
    totals = [
        one["usage"]["input_tokens"]
        + one["usage"]["output_tokens"]
        + one["usage"]["cache_creation_input_tokens"]
        + one["usage"]["cache_read_input_tokens"]
        for one in sent
    ]
    prices = [
        calc_price(
            Priced(
                input_tokens=one["usage"]["input_tokens"]
                + one["usage"]["cache_creation_input_tokens"]
                + one["usage"]["cache_read_input_tokens"],
                output_tokens=one["usage"]["output_tokens"],
                cache_write_tokens=one["usage"]["cache_creation_input_tokens"],
                cache_write_1h_tokens=one["usage"]["cache_creation"]["ephemeral_1h_input_tokens"],
                cache_read_tokens=one["usage"]["cache_read_input_tokens"],
            ),
            one["model"],
        ).total_price
        for one in sent
    ]

    async def counted() -> bool:
        found = await daemon.call("find_session", target=session)
        return bool(found["tokens_used"] == sum(totals) and found["cost_usd"] == pytest.approx(float(sum(prices))))

    await answer(counted, what=f"{sum(totals)} tokens")
    rows = await daemon.fetch("SELECT message_id FROM usage")
    assert {row["message_id"] for row in rows} == {one["message_id"] for one in sent}
    await daemon.command(session, "terminate", force=True)


async def test_a_conversation_goes_on_when_its_file_was_lost(daemon: DaemonProcess) -> None:
    async with messages_api.serve([say("one"), say("two")]) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch()
        await talk.does(session, "idle")
        assert await talk.ask(session, "remember the elephant") == "one"
        await daemon.command(session, "pause")
        await daemon.wait(session, "paused")
        written = talk.transcript(session)
        content = written.read_bytes()
        written.unlink()
        await daemon.command(session, "resume")
        await daemon.wait(session, "running")
        assert written.read_bytes().startswith(content)
        await talk.does(session, "idle")
        assert await talk.ask(session, "what was it?") == "two"
        assert "remember the elephant" in " ".join(talk.asked[-1])
        (match,) = await daemon.call("search", words="elephant")
        assert (match["session_id"], match["role"]) == (session, "user")
        await daemon.command(session, "terminate", force=True)
