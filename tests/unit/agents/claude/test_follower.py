"""What the corpus does not hold: prompts that wait for their turn, and what is lost."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from stratavore.agents.adapter import UNHEARD, Judgement, Observation
from stratavore.agents.claude.follower import ClaudeFollower
from stratavore.agents.conversation import Message, Row
from stratavore.models.states import Activity
from tests.unit.agents.claude.test_screen import BOX, PLAN

IDLE_SCREEN = BOX % ("", " · ? for shortcuts")
WORK_SCREEN = BOX % ("", " · esc to interrupt")
SEEN = Observation(100, 1)


def hook(at: float, name: str, **given: Any) -> bytes:
    return f"{at:.3f} {json.dumps({'hook_event_name': name, 'session_id': 's', **given})}".encode()


def begun() -> ClaudeFollower:
    follower = ClaudeFollower.of({})
    follower.hook(hook(1, "SessionStart", source="startup"))
    follower.screen(IDLE_SCREEN, 2)
    follower.hook(hook(10, "UserPromptSubmit", prompt="one", prompt_id="a"))
    return follower


def judged(follower: ClaudeFollower) -> Judgement:
    return follower.judge(SEEN)


def test_a_prompt_that_waits_for_the_turn_before_it() -> None:
    """As seen: its hook has the id of the turn under way, and its own turn is told by nothing but its end."""
    follower = begun()
    follower.hook(hook(11, "UserPromptSubmit", prompt="two", prompt_id="a"))
    follower.hook(hook(12, "Stop", last_assistant_message="to one", prompt_id="a"))
    assert judged(follower).activity is Activity.BUSY
    assert judged(follower).turn_ended_at is None
    follower.hook(hook(12.1, "Stop", last_assistant_message="to two", prompt_id="b"))
    found = judged(follower)
    assert (found.activity, found.reply) == (Activity.IDLE, "to two")


def test_a_prompt_that_is_taken_into_the_turn_under_way() -> None:
    follower = begun()
    follower.hook(hook(11, "UserPromptSubmit", prompt="two", prompt_id="a"))
    follower.hook(hook(12, "Stop", last_assistant_message="to both", prompt_id="a"))
    follower.screen(IDLE_SCREEN, 12.2)
    assert judged(follower).activity is Activity.BUSY
    follower.screen(IDLE_SCREEN, 14.9)
    assert judged(follower).activity is Activity.BUSY
    follower.screen(IDLE_SCREEN, 15.1)
    found = judged(follower)
    assert (found.activity, found.reply) == (Activity.IDLE, "to both")


def test_work_that_is_still_drawn_after_the_turn_has_ended_takes_no_reply_away() -> None:
    """As seen with ten of them at once on two cores: the screen was a second behind the hook."""
    follower = begun()
    follower.hook(hook(12, "Stop", last_assistant_message="to one", prompt_id="a"))
    ended = judged(follower).turn_ended_at
    for at in (13.0, 14.0):
        follower.screen(WORK_SCREEN, at)
        assert judged(follower).activity is Activity.BUSY
    for at in (14.8, 17.1):
        follower.screen(IDLE_SCREEN, at)
    found = judged(follower)
    assert (found.activity, found.reply, found.turn_ended_at) == (Activity.IDLE, "to one", ended)


def test_work_that_is_drawn_and_then_told_can_be_interrupted() -> None:
    follower = begun()
    follower.hook(hook(12, "Stop", last_assistant_message="to one", prompt_id="a"))
    follower.screen(WORK_SCREEN, 13)
    follower.hook(hook(14, "PreToolUse", tool_name="Bash"))
    follower.screen(WORK_SCREEN, 15)
    follower.screen(IDLE_SCREEN, 19)
    found = judged(follower)
    assert (found.activity, found.reply) == (Activity.IDLE, None)


def test_a_prompt_is_unheard_until_something_of_it_is_written_down() -> None:
    follower = begun()
    assert follower.state()[UNHEARD] == "one"
    follower.row(Row(message=Message("0", datetime.fromtimestamp(5, UTC), "assistant", "of before")))
    assert ClaudeFollower.of(follower.state()).state()[UNHEARD] == "one"
    follower.row(Row(message=Message("1", datetime.fromtimestamp(10, UTC), "user", "one")))
    assert follower.state()[UNHEARD] is None


def test_a_prompt_is_heard_however_far_its_hook_is_behind_its_row() -> None:
    """As seen on a machine at load 10: the hook's program began a second late, and the prompt was told twice."""

    def row(id_: str, at: float, text: str, prompt_id: str) -> Row:
        return Row(message=Message(id_, datetime.fromtimestamp(at, UTC), "user", text), prompt_id=prompt_id)

    follower = begun()
    for other in (row("0", 8, "zero", "a"), row("1", 8, "one", "b")):
        follower.row(other)
        assert follower.state()[UNHEARD] == "one"
    follower.row(row("2", 8, "one", "a"))
    assert follower.state()[UNHEARD] is None


@pytest.mark.parametrize("how", ["a row of its own", "taken in"])
def test_a_prompt_that_waits_for_a_turn_is_not_heard_by_what_that_turn_writes(how: str) -> None:
    """As seen: rows of the reply under way come after the hook of the next prompt, and a kill loses what waits."""
    follower = begun()
    follower.row(row("0", 10, "one"))
    follower.hook(hook(12, "UserPromptSubmit", prompt="two  words", prompt_id="a"))
    follower.row(row("1", 13, "to one", "assistant"))
    follower.row(Row(kind="attachment", taken="other words"))
    follower.hook(hook(14, "UserPromptSubmit", prompt="<task-notification>ended", prompt_id="a"))
    assert ClaudeFollower.of(follower.state()).state()[UNHEARD] == "two  words"
    if how == "taken in":
        follower.row(Row(kind="attachment", taken="two  words"))
    else:
        follower.hook(hook(15, "Stop", last_assistant_message="to one", prompt_id="a"))
        follower.row(row("2", 14, "more to one", "assistant"))
        assert follower.state()[UNHEARD] == "two  words"
        follower.row(row("3", 16, "two words"))
    assert follower.state()[UNHEARD] is None


def row(id_: str, at: float, text: str, role: str = "user") -> Row:
    return Row(message=Message(id_, datetime.fromtimestamp(at, UTC), role, text))


def test_what_it_tells_itself_is_never_told_again() -> None:
    follower = begun()
    follower.hook(hook(11, "Stop", last_assistant_message="done", prompt_id="a"))
    follower.hook(hook(12, "UserPromptSubmit", prompt="<task-notification>ended", prompt_id="b"))
    assert follower.state()[UNHEARD] is None


def test_silence_is_no_proof_of_work() -> None:
    follower = begun()
    assert follower.judge(Observation(1000, 59)).activity is Activity.BUSY
    assert follower.judge(Observation(1000, 61)).activity is Activity.UNKNOWN


def test_who_does_not_start_waits_for_a_person() -> None:
    follower = ClaudeFollower.of({})
    assert follower.judge(Observation(5, 5)).activity is Activity.STARTING
    found = follower.judge(Observation(30, 25))
    assert (found.activity, found.question) == (Activity.WAITING, "It does not start; look at its terminal")


def test_an_early_escape_is_told_by_the_prompt_that_is_back_in_the_box() -> None:
    follower = begun()
    follower.screen(BOX % ("one", ""), 10.5)
    assert judged(follower).activity is Activity.BUSY
    follower.screen(BOX % ("one", ""), 10.8)
    assert judged(follower).activity is Activity.IDLE


@pytest.mark.parametrize("screen", [IDLE_SCREEN, BOX % ("one", "")])
def test_a_box_tells_nothing_while_a_starved_agent_draws_nothing(screen: str) -> None:
    follower = begun()  # at 10; the box was emptied just before, or it is still to be
    for at in (10.5, 14, 29):
        follower.wants_screen(Observation(60, at - 9.9), at)
        follower.screen(screen, at)
        assert judged(follower).activity is Activity.BUSY
    follower.wants_screen(Observation(60, 0.1), 29.5)  # it draws again, and not that it works
    follower.screen(screen, 29.5)
    assert judged(follower).activity is Activity.IDLE


def test_an_empty_box_that_nothing_is_drawn_into_is_believed_at_last() -> None:
    follower = begun()
    follower.wants_screen(Observation(60, 20.3), 30.2)
    follower.screen(IDLE_SCREEN, 30.2)
    assert judged(follower).activity is Activity.IDLE


def test_a_question_that_is_drawn_late_is_not_forgotten() -> None:
    follower = begun()
    follower.hook(hook(11, "PermissionRequest", tool_name="Bash", tool_input={"command": "ls"}))
    for at in (11.2, 12, 13.9):
        follower.screen(IDLE_SCREEN, at)
        assert judged(follower).activity is Activity.WAITING
    follower.screen(PLAN, 14)
    assert judged(follower).question == "May it use Bash? ls"
    follower.screen(BOX % ("", " · esc to interrupt"), 14.8)  # answered, and its tool runs
    assert judged(follower).activity is Activity.BUSY


def test_a_turn_that_failed_is_told_apart_until_the_next_one_ends() -> None:
    follower = begun()
    follower.hook(hook(11, "StopFailure", error="rate_limit", last_assistant_message="You have hit your limit"))
    assert (judged(follower).turn_failed, judged(follower).reply) == (True, "You have hit your limit")
    follower.hook(hook(12, "UserPromptSubmit", prompt="again", prompt_id="b"))
    follower.hook(hook(13, "Stop", last_assistant_message="now", prompt_id="b"))
    assert (judged(follower).turn_failed, judged(follower).reply) == (False, "now")


def test_what_was_just_answered_is_asked_no_more() -> None:
    follower = begun()
    follower.hook(hook(11, "PermissionRequest", tool_name="Bash", tool_input={"command": "ls"}))
    follower.answered(12)
    assert judged(follower).activity is Activity.BUSY


def test_a_clock_that_is_set_back_blinds_nobody() -> None:
    t, back = 10_000.0, 600.0
    follower = begun()
    follower.screen(WORK_SCREEN, t)
    follower.hook(hook(t + 1, "PreToolUse", tool_name="Bash"))
    follower.screen(WORK_SCREEN, t + 2)
    assert follower.wants_screen(Observation(100, 0.0), t + 2.5 - back)
    follower.screen(PLAN, t + 3 - back)
    assert judged(follower).activity is Activity.WAITING
    follower.hook(hook(t + 4 - back, "UserPromptSubmit", prompt="two", prompt_id="b"))
    assert judged(follower).activity is Activity.BUSY
    for at in (5.0, 9.0):  # Escape, which nothing but the screen tells
        assert follower.wants_screen(Observation(100, 0.0), t + at - back)
        follower.screen(IDLE_SCREEN, t + at - back)
    assert judged(follower).activity is Activity.IDLE
    follower.hook(hook(t + 10 - back, "UserPromptSubmit", prompt="three", prompt_id="c"))
    assert judged(follower).prompted_at == datetime.fromtimestamp(t + 10 - back, UTC)
