"""What was recorded of Claude Code is whole: adapters are tested with it."""

import json
from pathlib import Path

import pytest

from setup import claude_code
from stratavore.models.states import Activity
from tests.claude_code.corpus import Recorded, recorded, versions
from tests.claude_code.situations import SITUATIONS

ALL = recorded()


def test_every_situation_was_recorded_of_the_pinned_version() -> None:
    assert {one.situation for one in ALL if one.version == claude_code.version()} == set(SITUATIONS)


def test_the_documentation_names_every_version() -> None:
    text = (Path(claude_code.__file__).parents[1] / "docs/claude-code.md").read_text()
    assert all(f"**{version}**" in text for version in versions())


@pytest.fixture(params=ALL, ids=[f"{one.version}-{one.situation}" for one in ALL])
def one(request: pytest.FixtureRequest) -> Recorded:
    found: Recorded = request.param
    return found


def test_hooks_are_lines_with_a_time(one: Recorded) -> None:
    for at, line in one.hooks:
        assert abs(at - one.truths[0].at) < 600
        assert line.partition(b" ")[2].startswith(b'{"session_id":')


def test_transcripts_are_rows(one: Recorded) -> None:
    for path in one.transcripts:
        for line in path.read_text().splitlines():
            assert json.loads(line)["type"]


def test_screens_and_truths_are_told_in_order(one: Recorded) -> None:
    times = [seen.at for seen in one.screens]
    assert times == sorted(times) and times
    assert one.truths[0].activity is Activity.STARTING
    for truth in one.truths:
        assert (truth.question is not None) == (truth.activity is Activity.WAITING)
        assert one.truths[0].at <= truth.at <= times[-1] + 600


def test_every_finished_reply_names_its_tokens(one: Recorded) -> None:
    for entry in one.api:
        assert entry["ended_at"] >= entry["at"]
        assert not entry["finished"] or entry["usage"]["output_tokens"] > 0


def test_nothing_of_the_machine_is_told(one: Recorded) -> None:
    for path in one.path.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "/tmp/sv-" not in text
            assert "/root" not in text
