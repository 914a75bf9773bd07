"""Limits as bars."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli import status, text
from cli.bars import MOST, Bar, lines
from cli.limit_bars import of_budget, of_quota
from cli.widths import size
from tests.unit.cli import examples

BARS = [
    Bar("all runners", 4, 5, "runners"),
    Bar("site memory", 0, 4096, "MB"),
    Bar("site tokens a day", 1_500_000, 1_000_000, "tokens"),
    Bar("all monthly budget", 0.01, 300, "usd"),
]


def test_used_and_left_are_drawn_and_told() -> None:
    assert lines(BARS, 100, colour=False, drawn=False) == [
        "all runners         [###################.....]   80%  4 of 5 runners, 1 left",
        "site memory         [........................]    0%  0 MB of 4096 MB, 4096 MB left",
        "site tokens a day   [########################]  150%  1.5M of 1.0M tokens, 0 left",
        "all monthly budget  [#.......................]    0%  $0.01 of $300.00, $299.99 left",
    ]
    assert "[███████████████████░░░░░]" in lines(BARS, 100, colour=False, drawn=True)[0]


@pytest.mark.parametrize("width", [20, 40, 62, 63, 70, 80, 200])
def test_they_fit_the_terminal(width: int) -> None:
    found = lines(BARS, width, colour=True, drawn=True)
    assert max(map(size, found)) <= width
    assert ("░" in found[0]) == (width >= 63 + 5)


def test_there_are_numbers_only_where_nobody_looks() -> None:
    assert lines(BARS, None, colour=False)[0] == "all runners          80%  4 of 5 runners, 1 left"


def test_colours_tell_what_is_nearly_used_up() -> None:
    found = lines(BARS, 100, colour=True, drawn=False)
    assert ["\x1b[33m" in found[0], "\x1b[31m" in found[2], "\x1b[32m" in found[3]] == [True, True, True]
    assert "\x1b" not in found[1], "nothing is used"


def test_of_very_many_the_fullest_are_shown() -> None:
    found = lines([Bar(f"p{n} runners", n, 100, "runners") for n in range(50)], 100, colour=False)
    assert len(found) == MOST + 1
    assert found[0].startswith("p49 ")
    assert found[-1].startswith(f"… and {50 - MOST} more limits")
    assert lines([], 100, colour=False) == []
    assert "100%" in lines([Bar("x", 0, 0, "runners")], 100, colour=False)[0], "a limit of nothing is used up"


def quota(**changes: Any) -> dict[str, Any]:
    return {
        "scope": "project",
        "project": "site",
        "session_id": None,
        "name": "max_concurrent_runners",
        "limit": 5,
        "used": 4,
        "waiting": 1,
        "source": None,
    } | changes


def test_what_limits_are_called() -> None:
    assert of_quota(quota()) == Bar("site runners", 4, 5, "runners")
    assert of_quota(quota(project=None, scope="global", name="max_memory_mb")).label == "all memory"
    tokens = of_quota(quota(session_id=examples.FIRST, name="max_tokens_per_day"))
    assert (tokens.label, tokens.unit) == ("1a2b3c4d tokens a day", "tokens")
    midnight = datetime.fromisoformat(str(tokens.resets))
    assert timedelta(0) < midnight - datetime.now(UTC) <= timedelta(days=1)
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    budget = {"period": "hourly", "used": 3.0, "amount": 2.0, "extra": 2.0, "unit": "usd", "ends_at": ends}
    of_site = of_budget(budget | {"project": "site", "session_id": None})
    assert of_site == Bar("site hourly budget", 3.0, 4.0, "usd", ends)
    assert of_site.told == f"$3.00 of $4.00, $1.00 left, until {text.clock(ends)}"


def test_the_status_shows_them() -> None:
    found = status.lines(examples.status() | {"limits": [quota()]}, 100, colour=False)
    assert any(line.startswith("site runners") and "4 of 5 runners, 1 left" in line for line in found)
    assert not any("runners" in line for line in status.lines(examples.status(), 100, colour=False)[3:])
