"""The timeline of a session, and what is shown of a runner."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli import runner, story, terminal, text
from stratavore.models.states import ExitKind, RunnerStatus
from tests.unit.cli import examples
from tests.unit.cli.conftest import Run, Serve

BEGIN = datetime(2020, 1, 31, 12, tzinfo=UTC)


def event(kind: str, after_s: float, generation: int | None = None, **data: Any) -> dict[str, Any]:
    of_runner = {"runner_id": f"{examples.FIRST}.{generation}"} if generation else {}
    return examples.event(type=kind, time=BEGIN + timedelta(seconds=after_s), data=of_runner | data)


EVENTS = [
    event("session.created", 0, agent="claude", cwd="/src/site"),
    event("quota.exceeded", 0, limit="max_concurrent_runners", position=2),
    event("runner.started", 1, 1, pid=10),
    event("runner.activity", 5, 1, activity="waiting", question="May it use Bash?"),
    event("runner.failed", 100, 1, lived_s=9.0, reason="killed by signal 9"),
    event("runner.started", 100.5, 2, pid=11),
    event("session.resumed", 100.5, 2, pid=11),
    event("runner.stopped", 200, 2, lived_s=99.5, reason="it was asked to end"),
    event("session.paused", 200, reason=None),
    event("runner.started", 500, 3, pid=12),
    event("something.newer", 501),
]


def test_the_timeline_tells_how_long_runners_lived_and_recoveries_took() -> None:
    rows = story.story(EVENTS)
    assert [(row["what"], row["generation"], row["after_s"]) for row in rows] == [
        ("created", None, None),
        ("queued", None, None),
        ("started", 1, None),
        ("asks", 1, None),
        ("failed", 1, 9.0),
        ("started", 2, 90.5),  # its end was recorded late: nobody was there to see it
        ("stopped", 2, 99.5),
        ("paused", None, None),
        ("started", 3, None),  # somebody had put it away: no recovery
        ("something.newer", None, None),
    ]
    assert rows[1]["detail"] == "place 2 in line, because of max_concurrent_runners"
    assert rows[3]["detail"] == "May it use Bash?"
    assert rows[4]["detail"] == "killed by signal 9"
    assert [rows[at]["detail"] for at in (2, 5, 8)] == [
        "process 10",
        "runs again 1m later, as process 11",
        "process 12",
    ]


@pytest.mark.parametrize("state", ["limited", "asking"])
def test_a_limit_is_told_in_words_and_the_wait_for_it_is_no_recovery(state: str) -> None:
    ended = event("runner.stopped", 10, 1, lived_s=9.0, reason="it was asked to end")
    held = event(f"session.{state}", 10, reason="its budget of 100 tokens a day is used up")
    rows = story.story([ended, held, event("runner.started", 500, 2, pid=11)])
    assert (rows[1]["what"], rows[1]["detail"]) == (state, "its budget of 100 tokens a day is used up")
    assert rows[2]["after_s"] is None


def test_it_is_readable_on_a_narrow_terminal(run: Run, fake: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "width", lambda: 80)
    fake(
        find_session=examples.session(),
        session_runners=[],
        session_story=EVENTS,
        session_usage=[],
        list_transcripts=[],
    )
    lines = run("sessions", "show", "site").out.partition("\n\n")[2].splitlines()
    assert lines[0].split() == ["WHEN", "RUNNER", "WHAT", "AFTER", "WHY,", "OR", "HOW"]
    assert lines[5].split() == [
        *text.clock(EVENTS[4]["time"]).split(),
        "1",
        "failed",
        "9.0s",
        "killed",
        "by",
        "signal",
        "9",
    ]
    assert max(map(len, lines)) <= 80
    shown = json.loads(run("sessions", "show", "site", "--format", "json").out)
    assert tuple(shown["story"][0]) == story.KEYS


def test_a_long_story_is_cut_for_people_only(run: Run, fake: Serve) -> None:
    many = [event("runner.started", number, number) for number in range(1, 100)]
    fake(find_session=examples.session(), session_runners=[], session_story=many, session_usage=[], list_transcripts=[])
    out = run("sessions", "show", "site").out
    assert "59 earlier ones are left out" in out
    assert len(json.loads(run("sessions", "show", "site", "--format", "json").out)["story"]) == 99


@pytest.mark.parametrize(("seconds", "said"), [(None, ""), (0.04, "0.0s"), (9.96, "10.0s"), (12.3, "12s"), (90, "1m")])
def test_lengths_of_time(seconds: float | None, said: str) -> None:
    assert text.exactly(seconds) == said


def test_a_runner_that_ended_is_shown_whole(run: Run, fake: Serve) -> None:
    fake(
        find_runner=examples.runner(
            status=RunnerStatus.FAILED,
            ended_at=examples.NOW,
            exit_kind=ExitKind.CRASHED,
            exit_code=137,
            exit_reason="killed by signal 9",
            last_lines="one\ntwo \x1b[31m",
        ),
        terminal={"log": "/home/runners/r/log"},
    )
    out = run("runners", "show", "site").out
    for line in (
        "Status: failed",
        "Because: killed by signal 9 (crashed, exit code 137)",
        "Directory: /home/runners/r",
        "Log: /home/runners/r/log",
    ):
        assert line in out.splitlines()
    assert out.splitlines()[-3:] == ["Last lines:", "  one", "  two ?[31m"]
    assert "Memory" not in out, "a process that is gone has none"
    shown = json.loads(run("runners", "show", "site", "--format", "json").out)
    assert tuple(shown) == runner.KEYS
    assert (shown["exit_kind"], shown["directory"]) == ("crashed", "/home/runners/r")


def test_a_runner_that_lives(run: Run, fake: Serve) -> None:
    fake(find_runner=examples.runner(cpu_percent=12.4), terminal={"log": "/l"})
    lines = run("runners", "show", "site").out.splitlines()
    assert {"Status: running, idle", "Process: 4242", "Memory: 121 MB", "CPU: 12 %"} <= set(lines)
