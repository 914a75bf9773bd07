"""A daemon that starts while a server comes up, or goes away for a moment, waits for it."""

import asyncpg
import pytest

from stratavore import connect
from stratavore.errors import ServerAway, ServerFailed
from worker import daemon

LOST = [
    ConnectionError("unexpected connection_lost() call"),
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    ServerAway(server="Postgres", address="here", reason="no answer", hint="Look"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_what_a_lost_server_makes_of_a_call_is_waited_out(error: Exception) -> None:
    tries = [error, error]

    async def job() -> str:
        if tries:
            raise tries.pop()
        return "done"

    assert await daemon._patiently(job) == "done"


async def test_nothing_is_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "PATIENCE_SECONDS", 0.0)

    async def job() -> None:
        raise LOST[0]

    with pytest.raises(ServerFailed):
        await daemon._patiently(job)


async def test_a_fault_of_its_own_is_told_at_once() -> None:
    async def job() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await daemon._patiently(job)


def test_the_drivers_confusion_is_a_failure_of_the_server() -> None:
    assert isinstance(connect.failure(LOST[1]), ServerFailed)
    assert connect.failure(KeyError("x")) is None
