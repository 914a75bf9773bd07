"""How far two clocks are apart, where one of them is read by asking for it."""

from datetime import UTC, datetime, timedelta
from typing import cast
from unittest.mock import AsyncMock, Mock

import pytest

from stratavore.health import servers
from stratavore.models.findings import PartState
from stratavore.store.connection import Connection
from stratavore.store.health import DatabaseFacts
from stratavore.store.migrate import HEAD

ASKED = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("read", "answered", "ahead", "state"),
    [
        (0, 0, 0, PartState.OK),
        (0, 9, 0, PartState.OK),  # it was read at once, and the answer was held up
        (9, 9, 0, PartState.OK),
        (-30, 0, 30, PartState.WARNING),
        (30, 0, -30, PartState.WARNING),
        (-30, 9, 30, PartState.WARNING),
        (30, 9, -21, PartState.WARNING),
    ],
)
async def test_what_a_slow_answer_cannot_tell_is_no_difference(
    monkeypatch: pytest.MonkeyPatch, read: float, answered: float, ahead: float, state: PartState
) -> None:
    at = ASKED + timedelta(seconds=read)
    facts = DatabaseFacts(at=at, bytes=0, version="18", schema_version=HEAD)
    now = Mock(side_effect=[ASKED, ASKED + timedelta(seconds=answered)])
    monkeypatch.setattr(servers, "datetime", Mock(now=now))
    monkeypatch.setattr("stratavore.store.health.database", AsyncMock(return_value=facts))
    _, clock = await servers.postgres(cast(Connection, AsyncMock()))
    assert (clock.figures["ahead_s"], clock.state) == (ahead, state)
