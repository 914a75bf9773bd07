"""The store on a real Postgres."""

from collections.abc import AsyncIterator

import pytest

from stratavore.store.database import Database
from tests.integration.store.steps import KEY, Store


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    opened = await Database.open(database, KEY)
    made = Store(opened)
    await made.host()
    yield made
    await opened.close()
