"""What an agent left that the daemon has no right to end (`sudo`): told once, and the session goes on."""

from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

from stratavore.paths import Home
from stratavore.runtime.host import Finished, RunnerHost
from stratavore.runtime.processes import identify
from tests.integration.store.conftest import store as store
from tests.integration.store.steps import HOST, Store
from tests.integration.worker.conversing import agent
from worker.ends import Ends


async def test_it_is_told_once_with_all_that_a_person_needs(store: Store, home: Home, tmp_path: Path) -> None:
    one = await agent(store, home, tmp_path / "claude")
    watched = await one.run()
    first = identify(1)  # root's, wherever
    assert first
    host = cast(RunnerHost, AsyncMock(finish=AsyncMock(return_value=Finished("Done", (first,)))))
    nobody = cast(Any, None)
    ends = Ends(store.database, nobody, host, HOST, one.reader(), nobody, nobody, one.following)
    for _ in range(2):  # a daemon that dies meanwhile is followed by one that does the same
        assert (await ends.at_once(watched)).last_lines == "Done"
    (told,) = await store.fetch("SELECT data FROM events WHERE type = 'system.alert'")
    data = told["data"]
    session = one.session.session_id[:8]
    assert (data["severity"], data["pids"], data["host"]) == ("warning", [1], HOST)
    assert all(part in data["message"] for part in (session, "root", HOST, ": 1"))
    assert "ps -fp 1" in data["advice"]
