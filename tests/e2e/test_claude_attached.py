"""A person at an agent's terminal works on while the daemon and all servers are away; it is caught up afterwards."""

import uuid
from pathlib import Path

from stratavore.paths import Home
from stratavore.runtime.processes import identify
from tests.claude_code import messages_api
from tests.claude_code.messages import Usage, say
from tests.e2e.conversing import Conversations
from tests.support.far import far_away
from tests.support.person import Person
from tests.support.stacks import Stack
from tests.support.waiting import answer

REPLIES = [say(f"Reply number {number}.", usage=Usage(10 + number, 100 + number)) for number in range(1, 5)]


async def test_who_is_attached_goes_on(
    home: Home, stack: Stack, database: str, rabbitmq_url: str, tmp_path: Path
) -> None:
    async with messages_api.serve(REPLIES) as api, far_away(home, stack, database, rabbitmq_url) as (daemon, ways):
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch()
        before = await talk.does(session, "idle")
        agent = identify(before["pid"])
        environment = daemon.environment | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        async with Person.sitting(environment, tmp_path) as person:
            person.stratavore("attach", session)
            await person.sees("❯")
            await says(person, 1)
            daemon.kill()
            for way in ways.values():
                way.is_open = False
                way.cut()
            for number in (2, 3):
                await says(person, number)
            assert identify(before["pid"]) == agent
            for way in ways.values():
                way.is_open = True
            await daemon.start()
            await says(person, 4)
            after = await talk.does(session, "idle")
            assert (after["pid"], after["generation"]) == (before["pid"], 1)
            person.presses("C-b", "d")
            await person.sees("Detached; the session goes on.")

        async def is_counted() -> bool:
            rows = await daemon.fetch("SELECT message_id, input_tokens, output_tokens FROM usage")
            return {tuple(row) for row in rows} == {
                (one.id, one.usage.input, one.usage.output) for one in REPLIES
            } and len(rows) == len(REPLIES)

        async def is_shown() -> bool:
            return bool((await talk.runner(session))["reply"] == "Reply number 4.")

        await answer(is_counted, what="every reply, once")
        await answer(is_shown, what="the last reply")
        rows = await daemon.fetch("SELECT type FROM events WHERE session_id = $1", uuid.UUID(session))
        kinds = [row["type"] for row in rows]
        assert (kinds.count("runner.started"), kinds.count("runner.stopped"), kinds.count("runner.failed")) == (1, 0, 0)
        await daemon.command(session, "terminate", force=True)


async def says(person: Person, number: int) -> None:
    """Type a prompt, and see the reply."""
    person._tmux("send-keys", "-l", f"prompt {number}")
    await person.sees(f"prompt {number}")
    person.presses("Enter")
    await person.sees(f"Reply number {number}.")
