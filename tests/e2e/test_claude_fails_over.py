"""Claude Code on a host that is lost: it goes on on another one, with its whole conversation, and ends where it was.

What it spent there until then is counted when the host is back.
"""

from stratavore.runtime.processes import Liveness, liveness
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import Tmux
from tests.claude_code import messages_api
from tests.claude_code.messages import say
from tests.claude_code.program import PrivateHome
from tests.e2e.conversing import Conversations
from tests.support.hosts import Hosts
from tests.support.waiting import answer

PATIENCE_SECONDS = 120.0


async def test_a_conversation_goes_on_where_there_is_a_host(hosts: Hosts) -> None:
    here = hosts.new("here")
    there = hosts.new("there")
    async with messages_api.serve([say("one"), say("lost"), say("two")]) as api:
        before, after = Conversations(here, api), Conversations(there, api)
        await here.start()
        await before.create()
        stranger = PrivateHome(there.home.root / "user")
        stranger.create(before.site)
        await there.start(settings=stranger.environment(api.url))
        session = await before.launch(options={"failover": "auto"})
        await before.does(session, "idle")
        assert await before.ask(session, "remember the elephant") == "one"

        async def counted() -> bool:
            sent = {one["message_id"] for one in api.ledger() if one["message_id"]}
            rows = await there.fetch("SELECT message_id FROM usage WHERE session_id = $1::uuid", session)
            return {row["message_id"] for row in rows} == sent and len(rows) == len(sent)

        await answer(counted, what="what was told before the host is lost")
        agent = RunDirectory(here.home, f"{session}.1").agent()
        assert agent is not None

        here.kill()
        await hosts.lose(here)
        # Nobody counts what it is told now: its host is lost, and it goes on until its guard ends it.
        (project,) = await there.fetch("SELECT project_id::text AS id FROM sessions WHERE id = $1::uuid", session)
        await Tmux(here.home).type_text(project["id"], f"{session}.1", "and the mouse", enter=True)
        await api.until(lambda: len([one for one in api.ledger() if one["message_id"]]) == 2)
        found = await there.wait(session, "running", generation=2, timeout=PATIENCE_SECONDS)
        assert (found["host"], found["generation"]) == ("there", 2)
        assert liveness(agent) is Liveness.DEAD
        await after.does(session, "idle")
        assert await after.ask(session, "what was it?") == "two"
        said = " ".join(after.asked[-1])
        assert said.index("remember the elephant") < said.index("one") < said.index("what was it?")
        assert not await counted()
        await here.start()
        await answer(counted, what="every reply, counted once, when the host is back")
        await there.command(session, "terminate", force=True)
        await there.wait(session, "ended")
