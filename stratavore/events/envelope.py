"""Events as they are recorded, signed and sent: CloudEvents 1.0 in JSON.

The envelope::

    {"specversion": "1.0", "id": "<uuid>", "source": "/stratavore/sessions/<uuid>", "type": "runner.started",
     "subject": "<session id>", "time": "2026-01-31T12:00:00.000000Z", "datacontenttype": "application/json",
     "project": "site", "sequence": "0000000000000000007", "signature": "<64 hex digits>", "data": {...}}

``sequence`` follows CloudEvents' sequence extension: a string that sorts as text does, here 19 digits with
leading zeros. It counts the events of one source without gaps, from 1. Events about the system have the source
``/stratavore`` and neither subject nor sequence; ``project`` is left out where there is none.

``signature`` is the HMAC-SHA256, in lower-case hexadecimal digits, of the envelope without its member
``signature``, spelled canonically (RFC 8785, JSON Canonicalization Scheme) in UTF-8. Its key is
``event_signing_key`` of the state directory's ``secrets.json``, 32 bytes in hexadecimal digits. So a consumer
in any language removes one member, canonicalises, and compares; :func:`verify` does.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from stratavore.events.canonical import canonical


class EventType(StrEnum):
    """Every type of event there is."""

    SESSION_CREATED = "session.created"
    SESSION_RESUMED = "session.resumed"
    SESSION_PAUSED = "session.paused"
    SESSION_PARKED = "session.parked"
    SESSION_LIMITED = "session.limited"
    SESSION_ASKING = "session.asking"
    SESSION_ENDED = "session.ended"
    SESSION_UNREACHABLE = "session.unreachable"
    SESSION_REACHABLE = "session.reachable"
    RUNNER_STARTED = "runner.started"
    RUNNER_STOPPED = "runner.stopped"
    RUNNER_FAILED = "runner.failed"
    RUNNER_ACTIVITY = "runner.activity"
    QUOTA_EXCEEDED = "quota.exceeded"
    BUDGET_WARNING = "budget.warning"
    BUDGET_EXCEEDED = "budget.exceeded"
    BUDGET_APPROVED = "budget.approved"
    QUOTA_RESET = "quota.reset"
    BUDGET_RESET = "budget.reset"
    ACCOUNT_LIMITED = "account.limited"
    PROJECT_DELETED = "project.deleted"
    SYSTEM_ALERT = "system.alert"
    SYSTEM_GOD = "system.god"
    SYSTEM_RECONCILED = "system.reconciled"


LAST_WORD: dict[str, str] = {
    EventType.BUDGET_WARNING: "scope",
    EventType.BUDGET_EXCEEDED: "scope",
    EventType.BUDGET_APPROVED: "scope",
    EventType.QUOTA_RESET: "scope",
    EventType.BUDGET_RESET: "scope",
    EventType.SYSTEM_ALERT: "severity",
    EventType.SYSTEM_GOD: "user",
    EventType.SYSTEM_RECONCILED: "kind",
}
"""A routing key is the type and one word more: the project, but for these types a member of their data."""

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SOURCE = "/stratavore"
SEQUENCE_DIGITS = 19  # of the largest bigint

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class NewEvent:
    """An event that a transaction implies.

    Attributes:
        session_id: The session it is about; None for the system.
        key: What causes it. The same cause twice, in one session or about the system, is one event.
        type: One of :class:`EventType`.
        project: The project's name; empty if it concerns none.
        data: Anything; see :func:`stratavore.events.canonical.clean`.
    """

    session_id: str | None
    key: str
    type: str
    project: str
    data: dict[str, Any]

    def __post_init__(self) -> None:
        """A wrong event fails in the code that makes it, not hours later in a relay."""
        word = LAST_WORD.get(EventType(self.type))
        if not (self.data.get(word) if word else self.project):
            raise ValueError(f"an event of the type {self.type} has a {word or 'project'}")


@dataclass(frozen=True)
class EventRow:
    """An event as the record holds it. ``sequence`` is 0 for those about the system, which have no order."""

    id: str
    session_id: str | None
    sequence: int
    key: str
    type: str
    project: str
    time: datetime
    data: dict[str, Any]
    signature: str = ""

    def signed(self, key: bytes) -> "EventRow":
        """The same event with its signature."""
        unsigned = _without_signature(self.cloud_event())
        return replace(self, signature=_signature(unsigned, key))

    def cloud_event(self) -> dict[str, Any]:
        """The envelope. Written years later from its row it must be the same, or its signature is void."""
        session = self.session_id
        time = self.time.astimezone(UTC).isoformat(timespec="microseconds")
        envelope = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"{SOURCE}/sessions/{session}" if session else SOURCE,
            "type": self.type,
            "subject": session,
            "time": time.replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "project": self.project or None,
            "sequence": f"{self.sequence:0{SEQUENCE_DIGITS}d}" if session else None,
            "signature": self.signature,
            "data": self.data,
        }
        return {name: value for name, value in envelope.items() if value is not None}

    def body(self) -> bytes:
        """The envelope as it is sent."""
        return json.dumps(self.cloud_event(), ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def routing_key(self) -> str:
        """``<type>.<project>``, or another last word for the types in :data:`LAST_WORD`."""
        word = LAST_WORD.get(self.type)  # a type that only newer daemons know is none of these
        return f"{self.type}.{topic_word(str(self.data[word]) if word else self.project)}"


def topic_word(text: str) -> str:
    """A text as one word of a topic key: all but ASCII letters, digits, ``_`` and ``-`` is percent-encoded.

    So the project ``site.v2`` is the word ``site%2Ev2``, and ``*`` matches any project.
    """
    return _NOT_PLAIN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def verify(cloud_event: Mapping[str, Any], key: bytes) -> bool:
    """Whether this envelope, parsed from JSON, is as it was signed with the key."""
    try:
        expected = _signature(_without_signature(cloud_event), key)
        return hmac.compare_digest(expected, cloud_event["signature"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return False


def _without_signature(cloud_event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cloud_event.items() if name != "signature"}


def _signature(unsigned: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical(unsigned).encode(), hashlib.sha256).hexdigest()
