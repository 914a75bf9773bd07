import json
from base64 import b64encode
from typing import Any

import pytest

from cli import search
from stratavore.models.views import ContentView, FoundView, ModelUsageView, TranscriptView
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve

USER = {"type": "user", "uuid": "1", "timestamp": "2026-06-01T12:00:00Z", "message": {"content": "Build \x1b[31mit"}}
ASSISTANT = {
    "type": "assistant",
    "uuid": "2",
    "timestamp": "2026-06-01T12:00:01Z",
    "message": {
        "content": [
            {"type": "text", "text": "I will\n\n- first"},
            {"type": "tool_use", "name": "Bash", "input": {"command": "make `all`"}},
            {"type": "text", "text": "Done"},
        ]
    },
}
WRITTEN = b"".join(json.dumps(one).encode() + b"\n" for one in (USER, ASSISTANT)) + b"\xff\n"


def file(**changes: Any) -> dict[str, Any]:
    view = TranscriptView(
        transcript_id=7,
        agent_session_id=examples.FIRST,
        subagent=False,
        name=f"{examples.FIRST}.jsonl",
        path=f"/home/user/.claude/projects/site/{examples.FIRST}.jsonl",
        bytes=len(WRITTEN),
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def content(transcript_id: int, start: int) -> dict[str, Any]:
    """Two pieces, cut within a line."""
    piece = WRITTEN[start:][: len(WRITTEN) // 2]
    view = ContentView(content=b64encode(piece).decode(), next=start + len(piece) if piece else None)
    return view.model_dump(mode="json")


def serve(fake: Serve, *files: dict[str, Any]) -> None:
    fake(find_session=examples.session(agent="claude"), list_transcripts=list(files), read_transcript=content)


def test_a_conversation_reads_well(run: Run, fake: Serve) -> None:
    serve(fake, file(), file(subagent=True, name="agent-a1.jsonl"))
    out = run("transcript", "site").out
    lines = out.splitlines()
    assert lines[0] == f"# site, {examples.FIRST}"
    assert "Build it" in lines
    assert "I will\n\n- first\n\n- `Bash make 'all'`\n\n**assistant**" in out
    assert "## Agent agent-a1" in lines
    assert "\x1b" not in out


def test_entries_for_programs(run: Run, fake: Serve) -> None:
    serve(fake, file(subagent=True, name="agent-a1.jsonl"))
    entries = [json.loads(line) for line in run("transcript", "site", "--format", "json").out.splitlines()]
    assert [one["role"] for one in entries] == ["user", "assistant", "tool", "assistant"]
    assert {one["subagent"] for one in entries} == {"agent-a1.jsonl"}


def test_a_session_without_a_conversation(run: Run, fake: Serve) -> None:
    serve(fake)
    result = run("transcript", "site")
    assert (result.code, result.out) == (3, "")
    assert "has not said anything yet" in result.err


def found(**changes: Any) -> dict[str, Any]:
    view = FoundView(
        session_id=examples.FIRST,
        project="site",
        agent="claude",
        role="user",
        at=examples.NOW,
        subagent=False,
        message_id="m",
        rank=0.5,
        excerpt="try \x02again\x03, with\n\x1b[2Ja \x02backoff\x03",
    )
    return view.model_copy(update=changes).model_dump(mode="json")


def test_what_was_found_is_marked_on_a_terminal_only(run: Run, fake: Serve) -> None:
    fake(search=[found()])
    assert run("search", "again").out.splitlines()[1] == "    try again, with ?[2Ja backoff"
    assert "try \x1b[1;33magain\x1b[0m, with" in search.shown(found(), "1a2b3c4d", None, colour=True)
    (plain,) = json.loads(run("search", "again", "--format", "json").out)
    assert "again, with" in plain["excerpt"]
    assert "\x02" not in plain["excerpt"]


def test_nothing_found_is_said_beside_the_output(run: Run, fake: Serve) -> None:
    fake(search=[])
    assert run("search", "nothing") == (0, "", "Nothing was found.\n")


def test_a_session_is_shown_whole(run: Run, fake: Serve) -> None:
    usage = ModelUsageView(
        model="claude-opus-4-5",
        replies=3,
        input_tokens=1000,
        output_tokens=20,
        cache_creation_tokens=0,
        cache_read_tokens=0,
        cost_usd=1.2,
        unpriced_tokens=5,
    ).model_dump(mode="json")
    fake(
        find_session=examples.session(
            agent_session_id="another", cost_usd=1.2, unpriced_tokens=5, question="May it use Bash?"
        ),
        session_runners=[
            examples.runner(ended_at=examples.NOW, exit_reason="killed by signal 9"),
            examples.runner(generation=2, reply="It is done"),
        ],
        session_story=[
            examples.event(
                type="runner.failed", data={"runner_id": f"{examples.FIRST}.1", "reason": "killed by signal 9"}
            )
        ],
        session_usage=[usage],
        list_transcripts=[file()],
    )
    out = run("sessions", "show", "site").out
    for words in (
        f"Session: {examples.FIRST}",
        "Cost: ≥ $1.20",
        "Asks: May it use Bash?",
        "Said: It is done",
        "Known to its agent as: another",
        "killed by signal 9",
        "claude-opus-4-5",
        "State: running on here, busy",
    ):
        assert words in out
    assert out.splitlines()[-1].endswith(f"  {file()['path']}")
    shown = json.loads(run("sessions", "show", "site", "--format", "json").out)
    assert (len(shown["runners"]), shown["usage"][0]["replies"], shown["question"]) == (2, 3, "May it use Bash?")


@pytest.mark.parametrize("words", [(), ("list",), ("--all",), ("list", "--all")])
def test_sessions_are_listed_when_nothing_else_is_said(run: Run, fake: Serve, words: tuple[str, ...]) -> None:
    fake(list_sessions=[examples.session(cost_usd=None, unpriced_tokens=7)])
    out = run("sessions", *words).out
    assert examples.FIRST[:8] in out
    assert " ?" in out, "a cost that is not known is no cost of nothing"


def test_what_looks_wrong_is_said_by_the_status(run: Run, fake: Serve) -> None:
    fake(status=examples.status(health=("transcripts of claude: 12 of 300 rows were of an unknown kind",)))
    assert "12 of 300 rows" in run("status").out
