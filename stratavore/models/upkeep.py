"""Messages of the workflow that keeps the system up: what it is to do, and what was done."""

from collections import Counter
from enum import StrEnum

from stratavore.models.base import Model
from stratavore.models.findings import Outcome
from stratavore.naming import plural

_WORDS = {
    Outcome.REPAIRED: "repaired",
    Outcome.GONE: "gone by itself",
    Outcome.LEFT: "left to a person",
    Outcome.FAILED: "not repaired, and tried again next time",
}


class UpkeepPart(StrEnum):
    """Who is compared. The parts have nothing in common, so that a host that is away delays nobody."""

    SERVERS = "servers"
    """Temporal with Postgres: any daemon can do it."""
    HOST = "host"
    """Processes, terminals and files of one host with what Temporal and Postgres say of them: its own daemon's."""


class UpkeepRequest(Model):
    """Do one part."""

    part: UpkeepPart
    host: str | None = None
    """Whose part it is; None: the servers'."""

    @property
    def title(self) -> str:
        """For people."""
        return f"Upkeep of the host {self.host}" if self.host else "Upkeep of the servers"


class UpkeepDone(Model):
    """What was found and done."""

    outcomes: tuple[Outcome, ...] = ()
    """Of each difference."""
    sentences: tuple[str, ...] = ()
    """What differed, and what was done about it; of very many the first ones."""
    unseen: tuple[str, ...] = ()
    """What could not be looked at."""
    removed: tuple[str, ...] = ()
    """What nobody needed any more, and how many of it, in words."""

    @property
    def summary(self) -> str:
        """In one sentence."""
        counts = Counter(self.outcomes)
        told = [f"{counts[outcome]} {word}" for outcome, word in _WORDS.items() if counts[outcome]]
        differs = f"{plural(len(self.outcomes), 'difference')}: {', '.join(told)}" if told else "nothing differed"
        return f"{differs}; removed {', '.join(self.removed)}" if self.removed else differs
