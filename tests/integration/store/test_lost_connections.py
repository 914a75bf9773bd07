"""Whoever is gone without a word, or frozen, does not keep its locks for ever."""

import pytest

from stratavore.store import admission
from stratavore.store import connection as connections
from stratavore.store.connection import AWAY
from stratavore.store.database import Database
from tests.integration.store.steps import KEY, Session, Store


async def test_postgres_is_told_how_long_to_wait_for_each_connection(store: Store, database: str) -> None:
    pool = store.database.pool
    assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "30s"
    assert await pool.fetchval("SHOW tcp_user_timeout") in ("30000", "30s")
    patient = await connections.connect(database, patience=None)
    try:  # of a backup, a restore, a migration: what is done in between takes its time
        assert await patient.fetchval("SHOW idle_in_transaction_session_timeout") == "0"
    finally:
        await patient.close()


async def test_who_is_frozen_in_a_transaction_holds_up_the_others_for_a_while_only(
    store: Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(await store.project())
    monkeypatch.setattr(connections, "IDLE_SECONDS", 1.0)
    frozen = await Database.open(database, KEY, connections=1)
    goes_on = False
    try:
        with pytest.raises(AWAY):
            async with frozen.transaction("test") as transaction:
                await admission.lock(transaction.connection)
                goes_on = (await store.admitted(session)).granted
                await transaction.connection.fetchval("SELECT 1")
        assert goes_on
        assert await frozen.pool.fetchval("SELECT 1") == 1
    finally:
        await frozen.close()
