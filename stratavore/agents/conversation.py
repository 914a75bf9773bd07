"""What can be read out of an agent's transcript, whatever the agent: replies with their tokens, messages, and news."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Tokens:
    """Tokens of one reply, each kind apart. ``cache_creation_1h`` is the dearer part of ``cache_creation``."""

    input: int = 0
    output: int = 0
    cache_creation: int = 0
    cache_read: int = 0
    cache_creation_1h: int = 0

    @property
    def total(self) -> int:
        """What limits and lists count."""
        return self.input + self.output + self.cache_creation + self.cache_read


@dataclass(frozen=True)
class Reply:
    """What a model was paid for once. Rows of the same ``id`` repeat it: the largest counts."""

    id: str
    model: str | None
    at: datetime
    tokens: Tokens
    terms: tuple[tuple[str, str], ...] = ()
    """What makes another price of it, in the words of the price library: ``(("speed", "fast"),)``."""


@dataclass(frozen=True)
class Message:
    """Something said, for people to read and search. ``role``: ``user`` or ``assistant``."""

    id: str
    at: datetime
    role: str
    text: str


class NewsKind(StrEnum):
    """What a transcript tells of the turn that is under way."""

    INTERRUPTED = "interrupted"
    LIMITED = "limited"
    FAILED = "failed"


@dataclass(frozen=True)
class News:
    """Something that changes what the agent is doing. ``text``: as the agent put it."""

    kind: NewsKind
    at: datetime
    text: str
    until: datetime | None = None
    """When a limit ends, if that was told."""


@dataclass(frozen=True)
class Row:
    """One line of a transcript, as far as it is understood."""

    known: bool = True
    """False for a kind never seen before, and for a known one that has changed."""
    kind: str = ""
    """What the agent calls it, for whom it is unknown to."""
    reply: Reply | None = None
    message: Message | None = None
    prompt_id: str | None = None
    """The agent's id of the prompt that a message is, or belongs to."""
    taken: str | None = None
    """The words of a prompt that waited, and that the turn under way takes in here."""
    news: News | None = None


@dataclass(frozen=True)
class Entry:
    """What one line of a transcript says to a reader: words, or the use of a tool in one line."""

    role: str
    """``user`` or ``assistant``; ``tool`` for the use of one."""
    text: str
    at: datetime
