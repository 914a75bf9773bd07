"""Claude Code moved from host to host: each has a HOME of its own, and the conversation comes along."""

from pathlib import Path

from tests.claude_code import messages_api
from tests.claude_code.messages import say
from tests.claude_code.program import PrivateHome
from tests.e2e.conversing import Conversations
from tests.support.command_line import CommandLine
from tests.support.hosts import Hosts
from tests.support.waiting import answer


def conversation(user: PrivateHome, session: str) -> Path:
    """The session's file in a HOME."""
    (found,) = user.transcripts.glob(f"*/{session}.jsonl")
    return found


async def move(cli: CommandLine, session: str, host: str) -> str:
    """Move a session, again if the host is too busy to say in time whether it can have it. Returns what was said."""
    while (result := await cli("move", session, host)).code == 5 and "did not answer within" in result.err:
        pass
    assert result.code == 0, result
    return result.out


async def test_a_conversation_goes_along_to_another_host_and_back(hosts: Hosts) -> None:
    here, there = hosts.new("here"), hosts.new("there")
    async with messages_api.serve([say("one"), say("two"), say("three")]) as api:
        talk = Conversations(here, api)
        await here.start()
        await talk.create()
        # What the session was launched with stays where it was launched: there it has what the daemon has.
        stranger = PrivateHome(there.home.root / "user")
        stranger.create(talk.site)
        await there.start(settings=stranger.environment(api.url))
        cli = CommandLine(here.environment, here.home.root)

        session = await talk.launch()
        await talk.does(session, "idle")
        assert await talk.ask(session, "remember the elephant") == "one"
        written = talk.transcript(session).read_bytes()

        assert await move(cli, session, "there") == f"{session[:8]}  running on there\n"
        await talk.does(session, "idle")
        assert (await talk.runner(session))["host"] == "there"
        assert conversation(stranger, session).read_bytes().startswith(written)
        assert await talk.ask(session, "what was it?") == "two"
        assert "remember the elephant" in " ".join(talk.asked[-1])

        assert await move(cli, session, "here") == f"{session[:8]}  running on here\n"
        await talk.does(session, "idle")
        assert (await talk.runner(session))["host"] == "here"
        assert await talk.ask(session, "and where?") == "three"
        said = " ".join(talk.asked[-1])
        assert said.index("remember the elephant") < said.index("what was it?") < said.index("and where?")
        sent = {one["message_id"] for one in api.ledger() if one["message_id"]}

        async def counted() -> bool:
            rows = await here.fetch("SELECT message_id FROM usage WHERE session_id = $1::uuid", session)
            return {row["message_id"] for row in rows} == sent and len(rows) == len(sent) == 3

        await answer(counted, what="every reply, counted once")
        await here.command(session, "terminate", force=True)
        await here.wait(session, "ended")
