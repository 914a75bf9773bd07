"""When a schedule begins: the five fields of cron. Imports the standard library only.

What is understood here Temporal understands alike; what programs read in different ways is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from stratavore.errors import InvalidInput

A_DAY = timedelta(days=1)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Days of the months; the 29th of February comes at times."""
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_EXAMPLE = "say one like '0 9 * * 1', Mondays at 9:00: minute, hour, day of the month, month, day of the week"
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_FEW = 4
"""Times of a day that are named one by one."""


@dataclass(frozen=True)
class _Field:
    noun: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """The numbers that a field stands for."""
        return frozenset(number for part in text.split(",") for number in self._of(part))

    def _of(self, part: str) -> Iterable[int]:
        found = _PART.fullmatch(part)
        if found is None:
            raise _Fault(f"'{part}' is no {self.noun}")
        first, last, step = found.groups()
        begin = self.least if first is None else self._number(first)
        end = self._number(last) if last else self.most if first is None or step else begin
        if end < begin:
            raise _Fault(f"'{part}' ends before it begins")
        if step is not None and not 1 <= int(step) <= self.most:
            raise _Fault(f"'{part}' has a step outside 1 to {self.most}")
        return range(begin, end + 1, int(step or 1))

    def _number(self, word: str) -> int:
        if word.lower() in self.names:
            return self.names.index(word.lower()) + self.least
        if not (word.isascii() and word.isdigit()) or not self.least <= int(word) <= self.most:
            raise _Fault(f"'{word}' is no {self.noun} from {self.least} to {self.most}")
        return int(word)


class _Fault(Exception):
    """What is wrong, in words."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True)
class Cron:
    """Times that come again and again.

    Attributes:
        text: The five fields, as they were typed.
        minutes: Of an hour.
        hours: Of a day.
        days: Of a month.
        months: From 1.
        weekdays: From 0, Sunday.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, typed: str) -> "Cron":
        """What was typed.

        Raises:
            InvalidInput: it is no such expression, its time never comes, or it can be read in two ways.
        """
        text = " ".join(typed.split())
        fields = _SHORT.get(text.lower(), text).split(" ")
        try:
            if len(fields) != len(_FIELDS):
                raise _Fault("it has not five fields")
            values = (field.values(one) for field, one in zip(_FIELDS, fields, strict=True))
            minutes, hours, days, months, weekdays = values
            # Sunday is 0 and 7.
            found = cls(text, minutes, hours, days, months, frozenset(day % 7 for day in weekdays))
            found._check()
        except _Fault as fault:
            raise InvalidInput(reason=f"'{typed}' is no time of cron: {fault}; {_EXAMPLE}") from None
        return found

    def _check(self) -> None:
        if len(self.days) < 31 and len(self.weekdays) < 7:
            raise _Fault("name days of the month or days of the week, not both, which programs read in two ways")
        if not any(min(self.days) <= _LONGEST[month - 1] for month in self.months):
            raise _Fault("that day never comes")

    @property
    def fields(self) -> str:
        """The same as numbers alone, which can be read in one way only."""
        parts = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join(
            "*" if len(part) == whole else ",".join(map(str, sorted(part)))
            for part, whole in zip(parts, (60, 24, 31, 12, 7), strict=True)
        )

    @property
    def gap(self) -> timedelta:
        """The least time between two of its times, at most a day: never more than it is."""
        if len(self.minutes) > 1:
            return timedelta(minutes=_least_step(self.minutes, 60))
        return timedelta(hours=_least_step(self.hours, 24)) if len(self.hours) > 1 else A_DAY

    def words(self) -> str:
        """For people: ``Mon at 09:00``; the expression itself where words would be no shorter."""
        times = self._times()
        return self.text if times is None else " ".join(one for one in (self._days(), times, self._months()) if one)

    def _times(self) -> str | None:
        minute, every = min(self.minutes), 60 // len(self.minutes)
        if len(self.hours) * len(self.minutes) <= _FEW:
            times = sorted((hour, one) for hour in self.hours for one in self.minutes)
            return "at " + ", ".join(f"{hour:02}:{one:02}" for hour, one in times)
        if len(self.hours) < 24:
            return None
        if len(self.minutes) == 1:
            return f"each hour at :{minute:02}"
        if self.minutes == frozenset(range(0, 60, every)):
            return "every minute" if every == 1 else f"every {every} minutes"
        return None

    def _days(self) -> str:
        if len(self.weekdays) < 7:
            days = sorted(self.weekdays, key=lambda day: day or 7)
            names = [_WEEKDAYS[day].capitalize() for day in days]
            in_a_row = len(days) > 2 and all(after - before == 1 for before, after in pairwise((d or 7) for d in days))
            return f"{names[0]}-{names[-1]}" if in_a_row else ", ".join(names)
        if len(self.days) < 31:
            return f"day {', '.join(map(str, sorted(self.days)))} of the month"
        return "daily" if len(self.hours) * len(self.minutes) <= _FEW else ""

    def _months(self) -> str:
        if len(self.months) == 12:
            return ""
        return f"in {', '.join(_MONTHS[one - 1].capitalize() for one in sorted(self.months))}"


def _least_step(values: frozenset[int], whole: int) -> int:
    """The least distance between two neighbours of a circle."""
    ordered = sorted(values)
    return min(after - before for before, after in pairwise([*ordered, ordered[0] + whole]))
