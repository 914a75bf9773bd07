"""What a scripted Messages API is asked and what it answers."""

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

PIECE = 24
"""Characters of one delta."""

LIMITED = "This request would exceed your account's rate limit."

Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Usage:
    """Tokens that a reply claims to have cost."""

    input: int = 10
    output: int = 20
    cache_creation: int = 0
    cache_read: int = 0
    cache_creation_1h: int = 0
    """The part of ``cache_creation`` that is kept for an hour."""

    def wire(self, output: int | None = None) -> dict[str, Any]:
        """As the API writes it; ``output`` instead of the final count."""
        return {
            "input_tokens": self.input,
            "output_tokens": self.output if output is None else output,
            "cache_creation_input_tokens": self.cache_creation,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_creation - self.cache_creation_1h,
                "ephemeral_1h_input_tokens": self.cache_creation_1h,
            },
            "service_tier": "standard",
        }


@dataclass(frozen=True)
class Text:
    """Words of the model."""

    text: str

    def start(self) -> dict[str, Any]:
        """The block before its first piece."""
        return {"type": "text", "text": ""}

    def whole(self) -> dict[str, Any]:
        """The block for who wants no pieces."""
        return {"type": "text", "text": self.text}

    def deltas(self) -> Iterator[dict[str, Any]]:
        """Its pieces."""
        for piece in _pieces(self.text):
            yield {"type": "text_delta", "text": piece}


@dataclass(frozen=True)
class Tool:
    """The model wants a tool to be used."""

    name: str
    input: Mapping[str, Any]
    id: str = field(default_factory=lambda: f"toolu_{uuid.uuid4().hex[:24]}")

    def start(self) -> dict[str, Any]:
        """The block before its first piece."""
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": {}}

    def whole(self) -> dict[str, Any]:
        """The block for who wants no pieces."""
        return {**self.start(), "input": dict(self.input)}

    def deltas(self) -> Iterator[dict[str, Any]]:
        """Its pieces."""
        for piece in _pieces(json.dumps(self.input)):
            yield {"type": "input_json_delta", "partial_json": piece}


class Gate:
    """Holds a reply in the middle, or before its first byte, until it is opened."""

    def __init__(self, after: int = 0) -> None:
        """``after``: pieces of text or input that are sent before it."""
        self.after = after
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    def open(self) -> None:
        """Let the reply go on."""
        self.opened.set()


@dataclass(frozen=True)
class Reply:
    """A reply that streams to its end, unless the client leaves."""

    blocks: tuple[Text | Tool, ...]
    usage: Usage = Usage()
    pause: float = 0.0
    """Seconds between two pieces."""
    gate: Gate | None = None
    model: str | None = None
    """Another model than the one that was asked."""
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex[:24]}")

    def events(self, model: str) -> Iterator[Event]:
        """The stream, event by event."""
        message: dict[str, Any] = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model or model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self.usage.wire(output=1),
        }
        yield "message_start", {"message": message}
        for index, block in enumerate(self.blocks):
            yield "content_block_start", {"index": index, "content_block": block.start()}
            for delta in block.deltas():
                yield "content_block_delta", {"index": index, "delta": delta}
            yield "content_block_stop", {"index": index}
        used = any(isinstance(block, Tool) for block in self.blocks)
        ended = {"stop_reason": "tool_use" if used else "end_turn", "stop_sequence": None}
        yield "message_delta", {"delta": ended, "usage": self.usage.wire()}
        yield "message_stop", {}

    def whole(self, model: str) -> dict[str, Any]:
        """The reply to who wants no stream."""
        events = dict(self.events(model))
        message, end = events["message_start"]["message"], events["message_delta"]
        return {**message, **end["delta"], "content": [block.whole() for block in self.blocks], "usage": end["usage"]}


@dataclass(frozen=True)
class Failure:
    """An answer that is no reply."""

    status: int
    kind: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """As the API writes it."""
        return json.dumps({"type": "error", "error": {"type": self.kind, "message": self.message}}).encode()


def say(*blocks: str | Tool, usage: Usage = Usage(), pause: float = 0.0, gate: Gate | None = None) -> Reply:
    """A reply of texts and tools."""
    made = tuple(Text(block) if isinstance(block, str) else block for block in blocks)
    return Reply(made, usage, pause, gate)


Answer = Reply | Failure


def rate_limited(*, retry: bool, retry_after: int | None = None) -> Failure:
    """429. ``retry``: the client may try again by itself; ``retry_after``: in so many seconds."""
    headers = {"x-should-retry": str(retry).lower()}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return Failure(429, "rate_limit_error", LIMITED, headers)


def usage_limit_reached(resets_at: int) -> Failure:
    """429 of a subscription whose five hours are used up until ``resets_at`` (Unix time)."""
    claims = {"5h": ("rejected", resets_at, "1.0"), "7d": ("allowed", resets_at + 86400, "0.4")}
    headers = {
        "x-should-retry": "false",
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(resets_at),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "anthropic-ratelimit-unified-overage-status": "rejected",
        "anthropic-ratelimit-unified-overage-disabled-reason": "org_level_disabled",
    }
    for claim, (status, reset, used) in claims.items():
        headers |= {
            f"anthropic-ratelimit-unified-{claim}-status": status,
            f"anthropic-ratelimit-unified-{claim}-reset": str(reset),
            f"anthropic-ratelimit-unified-{claim}-utilization": used,
        }
    return Failure(429, "rate_limit_error", LIMITED, headers)


def overloaded() -> Failure:
    """529."""
    return Failure(529, "overloaded_error", "Overloaded")


class Kind(StrEnum):
    """What the program asks for."""

    MAIN = "main"
    """The conversation that the person sees."""
    AGENT = "agent"
    """A conversation of a subagent."""
    SIDE = "side"
    """What it wants to know besides: a title, whether the quota is used up."""


@dataclass(frozen=True)
class Asked:
    """A request for a reply."""

    number: int
    at: float
    """Unix time."""
    kind: Kind
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.body["model"])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation so far."""
        return list(self.body["messages"])

    @property
    def texts(self) -> list[str]:
        """All texts of the conversation, in order."""
        return [str(block["text"]) for block in self._blocks() if block["type"] == "text"]

    @property
    def results(self) -> list[str]:
        """What the tools gave, in order."""
        return [str(block["content"]) for block in self._blocks() if block["type"] == "tool_result"]

    def _blocks(self) -> Iterator[dict[str, Any]]:
        for message in self.messages:
            content = message["content"]
            yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


def _pieces(text: str) -> Iterator[str]:
    for begin in range(0, len(text), PIECE):
        yield text[begin : begin + PIECE]
