"""Times of cron: what is understood, what is refused, and how it is told."""

from datetime import timedelta

import pytest

from stratavore.cron import Cron
from stratavore.errors import InvalidInput


@pytest.mark.parametrize(
    ("typed", "fields", "words"),
    [
        ("0 9 * * 1", "0 9 * * 1", "Mon at 09:00"),
        ("  0  9 * *   MON ", "0 9 * * 1", "Mon at 09:00"),
        ("0 9,17 * * 1-5", "0 9,17 * * 1,2,3,4,5", "Mon-Fri at 09:00, 17:00"),
        ("0 9 * * 7", "0 9 * * 0", "Sun at 09:00"),
        ("0 9 * * 5-7", "0 9 * * 0,5,6", "Fri-Sun at 09:00"),
        ("0 9 * * 1,3", "0 9 * * 1,3", "Mon, Wed at 09:00"),
        ("@Daily", "0 0 * * *", "daily at 00:00"),
        ("@hourly", "0 * * * *", "each hour at :00"),
        ("*/15 * * * *", "0,15,30,45 * * * *", "every 15 minutes"),
        ("* * * * *", "* * * * *", "every minute"),
        ("30 2 1 jan,mar *", "30 2 1 1,3 *", "day 1 of the month at 02:30 in Jan, Mar"),
        ("0 8-18/2 * * *", "0 8,10,12,14,16,18 * * *", "0 8-18/2 * * *"),
        ("5/20 * * * *", "5,25,45 * * * *", "5/20 * * * *"),
        ("0 0 29 2 *", "0 0 29 2 *", "day 29 of the month at 00:00 in Feb"),
    ],
)
def test_what_is_understood(typed: str, fields: str, words: str) -> None:
    found = Cron.parse(typed)
    assert (found.fields, found.words()) == (fields, words)
    assert Cron.parse(found.fields).fields == fields


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("", "it has not five fields"),
        ("often", "it has not five fields"),
        ("0 9 * * * *", "it has not five fields"),
        ("60 9 * * 1", "'60' is no minute from 0 to 59"),
        ("0 9 * * someday", "'someday' is no day of the week from 0 to 7"),
        ("0 9 0 * *", "'0' is no day of the month from 1 to 31"),
        ("-1 9 * * *", "'-1' is no minute"),
        ("0 17-9 * * *", "'17-9' ends before it begins"),
        ("*/0 * * * *", "'*/0' has a step outside 1 to 59"),
        ("0,,5 * * * *", "'' is no minute"),
        ("0 ٣ * * *", "'٣' is no hour from 0 to 23"),
        ("0 0 31 2,4 *", "that day never comes"),
        ("0 9 1 * 1", "name days of the month or days of the week, not both"),
    ],
)
def test_what_is_refused_in_one_sentence(typed: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Cron.parse(typed)
    assert f"'{typed}' is no time of cron: {fault}" in str(refused.value)
    assert "say one like '0 9 * * 1'" in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("0,50 * * * *", timedelta(minutes=10)),
        ("0 * * * *", timedelta(hours=1)),
        ("0 1,23 * * *", timedelta(hours=2)),
        ("0 9 * * 1", timedelta(days=1)),
    ],
)
def test_the_least_time_between_two(typed: str, gap: timedelta) -> None:
    assert Cron.parse(typed).gap == gap
