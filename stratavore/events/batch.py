"""Events that are published together, and what the broker answers to each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from stratavore.events.broker import Broker, BrokerAway, ChannelRefused, Declined, Refused
from stratavore.events.envelope import EventRow
from stratavore.killpoints import effect

CONFIRM_SECONDS = 60.0
"""A batch without confirmation after this long is published again on a new connection."""


@dataclass(frozen=True)
class Waiting:
    """A row of the outbox with its event."""

    outbox_id: int
    attempts: int
    event: EventRow

    @property
    def lane(self) -> str:
        """What keeps an order: its session; an event about the system is alone in its own."""
        return self.event.session_id or self.event.id


Failure: TypeAlias = tuple[Waiting, str]
"""With the reason."""


@dataclass
class Outcome:
    """What became of a batch; whoever is in no list is published again."""

    delivered: list[Waiting] = field(default_factory=list)
    declined: list[Failure] = field(default_factory=list)
    """The broker did not accept them for now: of each lane the first."""
    refused: list[Failure] = field(default_factory=list)
    doubtful: bool = False
    """The broker closed the channel over one of many, and did not say over which."""
    away: BrokerAway | None = None


async def publish(broker: Broker, batch: Sequence[Waiting]) -> Outcome:
    """Publish all at once, in order, and wait for the confirmations."""
    outcome = Outcome()
    try:
        await broker.ready()
        with effect("relay.publish"):
            async with asyncio.timeout(CONFIRM_SECONDS):
                answers = await asyncio.gather(*(broker.publish(one.event) for one in batch), return_exceptions=True)
    except BrokerAway as away:
        outcome.away = away
        return outcome
    except TimeoutError:
        await broker.close()
        outcome.away = BrokerAway(f"no confirmation within {CONFIRM_SECONDS:.0f} s")
        return outcome
    unsure: set[str] = set()  # lanes of which an event is in doubt: the later ones go after it
    for one, answer in zip(batch, answers, strict=True):
        match answer:
            case ChannelRefused() if len(batch) > 1:
                outcome.doubtful = True
                unsure.add(one.lane)
            case Refused():
                outcome.refused.append((one, str(answer)))
            case Declined():
                if one.lane not in unsure:
                    outcome.declined.append((one, str(answer)))
                unsure.add(one.lane)
            case BrokerAway():
                outcome.away = answer
                unsure.add(one.lane)
            case BaseException():
                raise answer
            case None if one.lane not in unsure:
                outcome.delivered.append(one)
    return outcome
