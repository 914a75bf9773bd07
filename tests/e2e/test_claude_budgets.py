"""Claude Code runs into budgets: it is put away, and the same conversation goes on, with every token charged once."""

from decimal import Decimal

from stratavore.naming import budgets_reset
from tests.claude_code import messages_api
from tests.claude_code.messages import Asked, Reply, Text, Tool, Usage
from tests.claude_code.messages_api import MessagesApi
from tests.e2e.conversing import Conversations
from tests.integration.reconcile.test_schedules import described, run
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

USAGE = Usage(input=100, output=57, cache_creation=30, cache_read=20, cache_creation_1h=10)
EACH = 207
"""Tokens of a reply."""
DAY = "interval '1 day'"


def account(api: MessagesApi) -> int:
    """Tokens of what was sent whole, in the server's own book."""
    kinds = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(one["usage"][kind] for one in api.ledger() if one["finished"] for kind in kinds)


async def charged(daemon: DaemonProcess, session: str, tokens: int) -> None:
    """Wait until ``budget show`` has so many; a transcript is read a moment after a turn has ended."""

    async def look() -> bool:
        (view,) = await daemon.call("show_budgets", target=session)
        return Decimal(str(view["used"])) == tokens

    await answer(look, what=f"a charge of {tokens} tokens")


async def test_a_conversation_goes_on_in_the_next_period_and_after_an_approval(daemon: DaemonProcess) -> None:
    words = iter(["one", "two", "three", "four"])
    async with messages_api.serve(lambda _: Reply((Text(next(words)),), usage=USAGE)) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        cli = CommandLine(daemon.environment, daemon.home.root)
        session = await talk.launch()
        await talk.does(session, "idle")
        await cli.done("budget", "set", session, "--tokens", str(EACH + 1))
        assert await talk.ask(session, "remember the elephant") == "one"
        assert account(api) == EACH
        await charged(daemon, session, EACH)
        assert await talk.ask(session, "and the mouse") == "two"
        view = await daemon.wait(session, "limited")
        assert view["reason"].startswith(
            "its budget of 208 tokens a day is used up (414 tokens were used); it goes on at "
        )
        assert account(api) == 2 * EACH
        await charged(daemon, session, 2 * EACH)

        await described(daemon, budgets_reset("daily", "UTC"))
        await daemon.fetch(f"UPDATE budget_periods SET starts_at = starts_at - {DAY}, ends_at = ends_at - {DAY}")
        await run(daemon, budgets_reset("daily", "UTC"))
        await daemon.wait_for_generation(session, 2)
        await talk.does(session, "idle")
        before = len(api.asked()[-1].messages)
        assert await talk.ask(session, "what was first?") == "three"
        assert len(api.asked()[-1].messages) == before + 2
        await charged(daemon, session, EACH)

        await cli.done("budget", "set", session, "--tokens", "1", "--at-limit", "ask")
        await daemon.wait(session, "asking")
        await cli.done("approve", session, "--tokens", "1k")
        await daemon.wait_for_generation(session, 3)
        await talk.does(session, "idle")
        assert await talk.ask(session, "and then?") == "four"
        said = " ".join(talk.asked[-1])
        assert said.index("the elephant") < said.index("the mouse") < said.index("first?") < said.index("then?")
        assert len(api.asked()[-1].messages) == before + 4
        assert account(api) == 4 * EACH

        async def whole() -> bool:
            rows = await daemon.fetch("SELECT used FROM budget_periods ORDER BY starts_at")
            # Only the budget's period was moved: set anew, today's has the replies of the first one again.
            return [row["used"] for row in rows] == [2 * EACH, 4 * EACH]

        await answer(whole, what="every reply, charged once")


PROMPT = "do what is asked"


class Turn:
    """A tool that takes long, then words."""

    def __init__(self) -> None:
        self.held = False
        self.end = Reply((Text("all of it is done"),), usage=USAGE)

    def __call__(self, asked: Asked) -> Reply:
        last = asked.messages[-1]["content"]
        if isinstance(last, list) and any(block.get("type") == "tool_result" for block in last):
            return self.end
        command = "echo done" if self.held else "touch began; sleep 1000"
        return Reply((Text("I use a tool."), Tool("Bash", {"command": command, "description": "do it"})), usage=USAGE)


async def test_a_turn_that_is_cut_off_goes_on_once_more_is_approved(daemon: DaemonProcess) -> None:
    turn = Turn()
    async with messages_api.serve(turn) as api:
        talk = Conversations(daemon, api)
        await talk.create("Bash")
        cli = CommandLine(daemon.environment, daemon.home.root)
        session = await talk.launch()
        await talk.does(session, "idle")
        await talk.say(session, PROMPT)
        await until((talk.site / "began").exists)

        async def counted() -> bool:
            return bool(await daemon.fetch("SELECT FROM usage"))

        await answer(counted, what="the usage of the reply that uses a tool")
        turn.held = True
        await cli.done("budget", "set", session, "--tokens", "200", "--at-limit", "ask", "--grace", "0s")
        await daemon.wait(session, "asking")
        assert account(api) == EACH
        await charged(daemon, session, EACH)
        await cli.done("approve", session, "--tokens", "1M")
        await api.until(lambda: any(one.finished and one.answer is turn.end for one in api.sent))
        await talk.does(session, "idle")
        assert (await talk.runner(session))["generation"] == 2

        await charged(daemon, session, account(api))
        assert await talk.ask(session, "and now?")
        (said,) = [text for text in talk.asked[-1] if PROMPT in text]
        assert said.count(PROMPT) == 1
