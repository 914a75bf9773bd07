"""When a text that was sent has been answered."""

from datetime import UTC, datetime, timedelta

import pytest

from stratavore.models.states import Activity
from stratavore.store.replies import judge
from stratavore.store.runners import Turn

TYPED = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return TYPED + timedelta(seconds=seconds)


def turn(activity: Activity, since: float, prompted: float | None, ended: float | None) -> Turn:
    return Turn(
        runner_id="s.1",
        activity=activity,
        activity_at=at(since),
        question="May it?",
        reply="The reply.",
        prompted_at=None if prompted is None else at(prompted),
        turn_ended_at=None if ended is None else at(ended),
    )


@pytest.mark.parametrize(
    ("found", "now", "state", "text"),
    [
        # Not heard of yet: the row is as it was before.
        (turn(Activity.IDLE, -9, -10, -9), 0.1, "busy", ""),
        (turn(Activity.IDLE, -9, None, None), 0.1, "busy", ""),
        (turn(Activity.BUSY, 0.2, 0, -9), 1, "busy", ""),
        (turn(Activity.IDLE, 1.2, 0, 1), 1.3, "answered", "The reply."),
        # It asks; but a question from before is what the text answered.
        (turn(Activity.WAITING, 0.5, 0, -9), 1, "waiting", "May it?"),
        (turn(Activity.WAITING, -0.5, -2, -9), 1, "busy", ""),
        # Typed while it worked: the turn's end comes first, and with it nothing is idle.
        (turn(Activity.BUSY, -1, 0, 1), 2, "busy", ""),
        (turn(Activity.UNKNOWN, 0.5, 0, -9), 100, "busy", ""),
        # Taken into the turn that was under way; or a command of the agent's own, which replies nothing.
        (turn(Activity.IDLE, 1, -10, 1), 2, "busy", ""),
        (turn(Activity.IDLE, 1, -10, 1), 7, "answered", "The reply."),
        (turn(Activity.IDLE, -9, -10, -9), 6, "answered", ""),
    ],
)
def test_a_reply(found: Turn, now: float, state: str, text: str) -> None:
    view = judge(found, TYPED, at(now), told=False)
    assert (view.state, view.text) == (state, text)


def test_an_error_is_no_reply() -> None:
    failed = turn(Activity.IDLE, 1.2, 0, 1).model_copy(update={"turn_failed": True})
    assert judge(failed, TYPED, at(1.3), told=True).state == "failed"


@pytest.mark.parametrize("prompted", [0, -10])  # a prompt, and an answer within a turn
def test_an_end_without_words_is_believed_late_since_the_words_may_come_yet(prompted: float) -> None:
    silent = turn(Activity.IDLE, 3, prompted, 3).model_copy(update={"reply": None})
    assert judge(silent, TYPED, at(12), told=prompted == 0).state == "busy"
    assert judge(silent, TYPED, at(14), told=prompted == 0).state == "answered"
    failed = silent.model_copy(update={"turn_failed": True})
    assert judge(failed, TYPED, at(12), told=prompted == 0).state == "failed"


def test_a_prompt_that_was_told_is_waited_for_however_late_its_turn_is_seen() -> None:
    before = turn(Activity.IDLE, -9, -10, -9)
    assert judge(before, TYPED, at(60), told=True).state == "busy"
    assert judge(turn(Activity.IDLE, 61, 0, 61), TYPED, at(62), told=True).text == "The reply."
