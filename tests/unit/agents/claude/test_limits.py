"""When a limit of Claude Code's ends, by what it says."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.agents.claude.account import account_of
from stratavore.agents.claude.follower import ClaudeFollower
from stratavore.agents.claude.limits import reset_at, reset_told, told_of_limit
from stratavore.agents.claude.transcript import read_row
from tests.claude_code import corpus

AT = datetime(2026, 11, 24, 20, 23, 47, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("You've hit your 5-hour limit · resets 11:23pm (UTC)", datetime(2026, 11, 24, 23, 24, tzinfo=UTC)),
        ("You've hit your limit · resets 3pm (Europe/Berlin)", datetime(2026, 11, 25, 14, 1, tzinfo=UTC)),
        ("limit reached · resets at 12am (UTC)", datetime(2026, 11, 25, 0, 1, tzinfo=UTC)),
        ("Weekly limit reached · resets Nov 30, 9am (UTC)", datetime(2026, 11, 30, 9, 1, tzinfo=UTC)),
        ("resets Jan 2 at 9:30am (UTC)", datetime(2027, 1, 2, 9, 31, tzinfo=UTC)),
        ("resets 20:23 (UTC)", datetime(2026, 11, 24, 20, 24, tzinfo=UTC)),
        ("Claude AI usage limit reached|1795562623", datetime.fromtimestamp(1795562623, UTC)),
    ],
)
def test_times(text: str, until: datetime) -> None:
    assert reset_told(text, AT) == until


@pytest.mark.parametrize(
    "text",
    [
        "",
        "API Error: Request rejected (429) · This request would exceed your account's rate limit.",
        "resets 25:00 (UTC)",
        "resets 13pm (UTC)",
        "resets 3pm (Nowhere/Town)",
        "resets 3pm (../../etc/passwd)",
        "resets Feb 31, 3pm (UTC)",
        "resets Mar 1, 3pm (UTC)",  # in more than forty days
        "usage limit reached|0000000001",
        "resets soon",
        "resets 3",
    ],
)
def test_what_is_not_understood_is_a_limit_without_a_time(text: str) -> None:
    assert reset_told(text, AT) is None


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(seconds=1), timedelta(hours=22)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]),
)
def test_a_time_of_the_clock_is_found_again_across_its_changes(at: datetime, after: timedelta, zone: str) -> None:
    """It is never before the limit's end, and at most a minute after it, unless clocks are set back meanwhile."""
    ends = at + after
    wall = ends.astimezone(ZoneInfo(zone))
    half = "am" if wall.hour < 12 else "pm"
    found = reset_told(f"resets {wall.hour % 12 or 12}:{wall:%M}{half} ({zone})", at)
    assert found is not None
    assert at < found
    twice = wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()
    assert twice or timedelta(0) < found - ends <= timedelta(minutes=1)


@given(st.text(max_size=60), st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)))
def test_whatever_is_said_is_understood_or_not(text: str, at: datetime) -> None:
    for said in (text, f"resets {text}", f"resets 3pm ({text})"):
        found = reset_told(said, at)
        assert found is None or at < found <= at + timedelta(days=40)


def test_exact_times_that_cannot_be_meant_are_none() -> None:
    soon = int(AT.timestamp()) + 60
    assert reset_at(soon, AT) == datetime.fromtimestamp(soon, UTC)
    for wrong in (0, int(AT.timestamp()) - 60, 10**12, "soon", True, None, 1.5):
        assert reset_at(wrong, AT) is None


def test_which_failures_can_be_tried_again() -> None:
    assert told_of_limit("rate_limit", "")
    assert told_of_limit("server_error", "API Error: Repeated 529 Overloaded errors.")
    assert not told_of_limit("server_error", "API Error: 500")
    assert not told_of_limit("billing_error", "Credit balance is too low")


def test_accounts_are_told_apart_and_no_secret_is_told() -> None:
    secret = "sk-ant-1234567890"
    one = account_of({"ANTHROPIC_API_KEY": secret, "HOME": "/h"})
    assert one == account_of({"ANTHROPIC_API_KEY": secret, "HOME": "/other"})
    assert secret[-6:] not in one.name
    others = [
        account_of({"ANTHROPIC_API_KEY": secret + "1"}),
        account_of({"ANTHROPIC_API_KEY": secret, "ANTHROPIC_BASE_URL": "http://gateway"}),
        account_of({"CLAUDE_CONFIG_DIR": "/elsewhere"}),
        account_of({"HOME": "/nowhere"}),
    ]
    assert len({one, *others}) == 5


LIMITS = {
    "limit_with_reset": datetime.fromtimestamp(1795562623, UTC),
    "limit_without_reset": None,
    "overload": None,
}


def heard(situation: str, *, rows_first: bool) -> ClaudeFollower:
    """A follower that has heard all that was recorded."""
    recorded = next(one for one in corpus.recorded() if one.situation == situation)
    follower = ClaudeFollower.of({})
    rows = [read_row(line) for file in recorded.transcripts for line in file.read_bytes().splitlines()]
    hooks = [line for _, line in recorded.hooks]
    if rows_first:  # as when a machine is busy: the hook of the failure comes last
        for line in hooks[:-1]:
            follower.hook(line)
        hooks = hooks[-1:]
    else:
        for line in hooks:
            follower.hook(line)
        hooks = []
    for row in rows:
        follower.row(row)
    for line in hooks:
        follower.hook(line)
    return follower


@pytest.mark.parametrize("rows_first", [False, True])
@pytest.mark.parametrize("situation", LIMITS)
def test_what_the_program_told_is_the_limit(situation: str, rows_first: bool) -> None:
    limit = heard(situation, rows_first=rows_first).limit()
    assert limit is not None
    assert limit.until == LIMITS[situation]
    assert limit.text


def test_the_next_daemon_knows_it_and_the_next_prompt_ends_it() -> None:
    follower = heard("limit_with_reset", rows_first=False)
    again = ClaudeFollower.of(follower.state())
    assert again.limit() == follower.limit()
    again.hook(b'1795551900.0 {"hook_event_name": "UserPromptSubmit", "prompt": "go on"}')
    assert again.limit() is None


@pytest.mark.parametrize("situation", ["prompt", "limit_retried", "escape_late", "resumed"])
def test_what_ended_otherwise_is_no_limit(situation: str) -> None:
    assert heard(situation, rows_first=False).limit() is None
