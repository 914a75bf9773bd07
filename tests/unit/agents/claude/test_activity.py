"""Activity, judged by all that was recorded of the real program, as the monitor hears and sees it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from stratavore.agents.adapter import Judgement, Observation
from stratavore.agents.claude.adapter import Claude
from stratavore.models.states import Activity
from tests.claude_code.corpus import Recorded, Truth, recorded

LOOK_SECONDS = 0.2
"""As worker/sightings.py."""
IN_TIME = 1.0
CORPUS = recorded()


@dataclass(frozen=True)
class Moment:
    """What was judged at one time."""

    at: float
    judged: Judgement


def followed(one: Recorded) -> Iterator[Moment]:
    """Let a follower hear and see what was recorded, at the times of a monitor that looks now and then."""
    truths = one.truths
    hooks, screens, rows = list(one.hooks), list(one.screens), _rows(one)
    began = truths[0].at
    follower = Claude().follow({})
    now, end = began, max([truths[-1].at + 2, *(screen.at for screen in screens)])
    shown, drawn_at = "", None
    while now < end:
        if any(truth.activity is Activity.STARTING and now - LOOK_SECONDS < truth.at <= now for truth in truths[1:]):
            follower, began = Claude().follow({}), now  # another runner
        while hooks and hooks[0][0] <= now:
            follower.hook(hooks.pop(0)[1])
        while rows and rows[0][0] <= now:
            follower.row(Claude().read_row(rows.pop(0)[1]))
        while screens and screens[0].at <= now:
            drawn_at, shown = screens[0].at, screens.pop(0).text
        seen = Observation(now - began, None if drawn_at is None else now - drawn_at)
        if follower.wants_screen(seen, now):
            follower.screen(shown, now)
        yield Moment(now, follower.judge(seen))
        now += LOOK_SECONDS


def _rows(one: Recorded) -> list[tuple[float, bytes]]:
    found = []
    for path in one.transcripts:
        if path.parent.name != "subagents":
            for line in path.read_bytes().splitlines():
                row = Claude().read_row(line)
                if row.news:
                    found.append((row.news.at.timestamp(), line))
    return sorted(found)


def wrong(one: Recorded, moments: list[Moment]) -> list[str]:
    """Each true activity that was not judged so, one second after it began and from then on."""
    truths = one.truths
    found = []
    for truth, following in zip(truths, [*truths[1:], Truth(moments[-1].at + 1, None)], strict=True):
        due = [m for m in moments if truth.at + IN_TIME <= m.at < following.at]
        if truth.activity is not None and (bad := [m for m in due if m.judged.activity is not truth.activity]):
            found.append(
                f"{one.situation}: {truth.activity} from {truth.at:.2f} on, but {len(bad)} of {len(due)} times "
                f"{bad[0].judged.activity}, first after {bad[0].at - truth.at:.2f} s"
            )
    return found


def test_what_it_does_is_known_within_a_second() -> None:
    mistakes = [mistake for one in CORPUS for mistake in wrong(one, list(followed(one)))]
    truths = sum(truth.activity is not None for one in CORPUS for truth in one.truths)
    print(*mistakes, f"{len(mistakes)} of {truths} wrong", sep="\n")
    assert len(mistakes) <= truths / 100, mistakes


@pytest.mark.parametrize("one", CORPUS, ids=lambda one: f"{one.version}-{one.situation}")
def test_a_question_is_told_in_its_own_words(one: Recorded) -> None:
    moments = list(followed(one))
    for truth in one.truths:
        if truth.activity is Activity.WAITING:
            assert truth.question
            told = [m.judged.question or "" for m in moments if m.at >= truth.at + IN_TIME][:1]
            assert told and truth.question in told[0], (truth.question, told)


@pytest.mark.parametrize("one", CORPUS, ids=lambda one: f"{one.version}-{one.situation}")
def test_nothing_is_busy_for_ever(one: Recorded) -> None:
    """When all falls silent, and even its screen is lost."""
    follower = Claude().follow({})
    for _, line in one.hooks:
        follower.hook(line)
    assert follower.judge(Observation(10_000, 10_000)).activity is not Activity.BUSY


def test_a_prompt_that_waits_is_not_answered_by_a_turn_whose_id_was_never_told() -> None:
    """As seen of the real program: sent 27 ms after a turn's end, a prompt tells the id of that turn."""
    follower = Claude().follow({})
    for at, name, id_, words in (
        (1.0, "UserPromptSubmit", "a", "first"),
        (2.0, "Stop", "a", "one"),
        (2.03, "UserPromptSubmit", "a", "second"),
        (2.3, "UserPromptSubmit", "b", "third, waits"),
        (4.0, "Stop", "b", "two"),
    ):
        told = {"hook_event_name": name, "prompt_id": id_, "prompt": words, "last_assistant_message": words}
        follower.hook(f"{at} {json.dumps(told)}".encode())
    seen = follower.judge(Observation(10.0, 0.1))
    assert (seen.activity, seen.turn_ended_at) == (Activity.BUSY, datetime.fromtimestamp(2.0, UTC))
    told = {"hook_event_name": "Stop", "prompt_id": "c", "last_assistant_message": "three"}
    follower.hook(f"4.6 {json.dumps(told)}".encode())
    seen = follower.judge(Observation(10.0, 0.1))
    assert (seen.activity, seen.reply) == (Activity.IDLE, "three")
