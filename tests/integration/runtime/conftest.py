"""A host with a private terminal server; nothing of it is left after a test."""

from collections.abc import AsyncIterator

import pytest

from stratavore.paths import Home
from stratavore.runtime.processes import Snapshot, end
from tests.integration.runtime.runners import Runners
from tests.support import guardian


@pytest.fixture
async def runners(home: Home) -> AsyncIterator[Runners]:
    made = Runners(home)
    yield made
    guardian.kill_terminals(home)
    ids = {path.name for path in home.runners.iterdir()}
    left = [each for runner, found in Snapshot().marked().items() if runner in ids for each in found]
    assert not await end(left, grace=0)
