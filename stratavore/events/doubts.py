"""Events that the broker did not accept for now: what is tried again when, and when it is given up.

A negative confirm is also how RabbitMQ tells of what passes: a listener's queue that is full, a queue whose process
failed. The event is tried again after growing pauses, and what comes after it in its session waits behind it. After
the last try it is given up, and what comes then in that session has one try each until one is accepted: so a queue that
stays full holds up only once those who listen at others.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from stratavore.events.batch import Failure, Waiting
from stratavore.naming import plural

TRIES = 10
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 120.0
"""Seconds between two tries, twice as long each time: the ten take 6 minutes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Doubt:
    tries: int
    again: float
    """When it is tried again, by the monotonic clock."""


class Doubts:
    """Of one relay: lanes whose last event was not accepted."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Doubt] = {}

    def resting(self) -> list[str]:
        """Lanes of which nothing is to be sent now."""
        now = monotonic()
        return [lane for lane, doubt in self._lanes.items() if doubt.again > now]

    def one_each(self, rows: Iterable[Waiting]) -> list[Waiting]:
        """Without those behind the first of a lane in doubt: a queue that has room again would have them before it."""
        begun: set[str] = set()
        batch = []
        for one in rows:
            if one.lane in self._lanes:
                if one.lane in begun:
                    continue
                begun.add(one.lane)
            batch.append(one)
        return batch

    def accepted(self, those: Iterable[Waiting]) -> None:
        """Their lanes are in doubt no more."""
        for one in those:
            self._lanes.pop(one.lane, None)

    def judge(self, declined: Sequence[Failure]) -> tuple[list[Failure], list[Failure]]:
        """Which of those that were not accepted are tried again, and which are given up."""
        fresh = [reason for one, reason in declined if one.lane not in self._lanes]
        if fresh:
            log.warning("the broker left %s for later: %s", plural(len(fresh), "event"), fresh[0])
        tried_again: list[Failure] = []
        given_up: list[Failure] = []
        for one, reason in declined:
            known = self._lanes.get(one.lane)
            tries = max(known.tries if known else 0, one.attempts) + 1
            over = tries >= TRIES
            pause = 0.0 if over else min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
            self._lanes[one.lane] = _Doubt(tries, monotonic() + pause)
            (given_up if over else tried_again).append((one, reason))
        return tried_again, given_up

    def forget(self) -> None:
        """Other relays may have sent these lanes since."""
        self._lanes.clear()
