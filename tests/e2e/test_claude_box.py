"""What stands in the real Claude Code's prompt box before something is sent."""

import pytest

from stratavore.runtime.tmux import Tmux
from tests.claude_code import messages_api
from tests.claude_code.messages import Gate, say
from tests.e2e.conversing import Conversations
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until


@pytest.mark.parametrize(
    ("left", "shows"),
    [("half a thought", "half a thought"), ("!", "! for shell mode"), ("!ls", "ls"), ("two\nlines", "lines")],
)
async def test_what_a_person_left_is_not_sent_along_and_no_turn_is_interrupted(
    daemon: DaemonProcess, left: str, shows: str
) -> None:
    gate = Gate(after=2)
    async with messages_api.serve([say("Hello."), say("word " * 60, gate=gate), say("The third.")]) as api:
        talk = Conversations(daemon, api)
        await talk.create()
        session = await talk.launch(prompt="the first words")
        runner_id = (await talk.does(session, "idle"))["runner_id"]
        await talk.say(session, "go slowly")
        await talk.does(session, "busy")
        (project,) = await daemon.fetch("SELECT id::text FROM projects WHERE name = $1", talk.project)
        await Tmux(daemon.home).type_text(project["id"], runner_id, left, enter=False)

        async def shown() -> bool:
            return any(row.endswith(shows) for row in (await talk.screen(runner_id)).splitlines()[-8:])

        await answer(shown, what="the text in the box")
        await talk.say(session, "what now?")
        gate.open()
        await until(lambda: any("what now?" in text for texts in talk.asked for text in texts), what="the question")
        assert "Interrupted" not in await talk.screen(runner_id)
        await until(lambda: api.sent[1].finished, what="the end of a turn that nobody interrupted")
        if left != "!":
            assert left not in "".join(talk.asked[-1])
