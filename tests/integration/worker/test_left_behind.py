"""What runners wrote while their host was lost is counted when it is back; what cannot be read holds up no other."""

import json
import logging
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from stratavore.paths import Home
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tail import Piece, Place, read_on
from stratavore.store import runners
from tests.integration.store.conftest import store as store
from tests.integration.store.steps import HOST, Store
from tests.integration.worker.conversing import CONVERSATION, Agent, agent, assistant, user
from worker import left_behind
from worker.left_behind import Rest


async def lost(store: Store, home: Home, directory: Path) -> Agent:
    """An agent that told where its conversation is, and ended with the lease of its host."""
    one = await agent(store, home, directory)
    await one.run()
    await store.fetch(
        "UPDATE runners SET exit_kind = 'fenced', ended_at = now() - interval '1 hour',"
        " created_at = '2026-06-01 11:00+00', started_at = '2026-06-01 11:00+00' WHERE id = $1",
        one.runner_id,
    )
    await store.fetch("UPDATE sessions SET agent = 'claude' WHERE id = $1", one.session.session_id)
    hooks = RunDirectory(home, one.runner_id).hooks
    hooks.parent.mkdir()
    told = {"hook_event_name": "Stop", "session_id": CONVERSATION, "transcript_path": str(one.main)}
    hooks.write_text(f"1780312800.0 {json.dumps(told)}\n")
    return one


@pytest.fixture
async def rest(store: Store, home: Home, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rest]:
    """That of the host, which waits for nothing between two looks."""
    monkeypatch.setattr(left_behind, "LONGEST_RETRY_SECONDS", 0.0)
    yield Rest(home, HOST, store.database)


async def uncounted(store: Store) -> dict[str, int]:
    async with store.database.pool.acquire() as connection:
        return await runners.uncounted(connection)


@pytest.mark.parametrize("what", ["main", "subagent", "subagents", "hooks"])
async def test_files_that_cannot_be_read_hold_up_no_other(
    what: str, rest: Rest, store: Store, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await lost(store, home, tmp_path / "bad"), await lost(store, home, tmp_path / "good")
    for one, reply in ((bad, "b"), (good, "g")):
        one.write(assistant(f"{reply}1", 5))
        one.write(assistant(f"{reply}2", 7), path=one.subagent)
    path = {
        "main": bad.main,
        "subagent": bad.subagent,
        "subagents": bad.subagent.parent,
        "hooks": RunDirectory(home, bad.runner_id).hooks,
    }[what]
    path.rename(path.with_suffix(".kept"))
    if what == "subagents":
        path.symlink_to(path.name)  # and so on, for ever
    else:
        path.mkdir()
    for _ in range(left_behind.TOLD_AFTER + 2):
        await rest.look()
    assert await good.usage() == {"g1": 5, "g2": 7}
    readable = {"main": {"b2": 7}, "hooks": {}}.get(what, {"b1": 5})
    assert await bad.usage() == readable
    assert await uncounted(store) == {HOST: 1}
    told = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(told) == 1
    assert bad.runner_id in told[0].getMessage()
    (event,) = await store.fetch("SELECT type, session_id::text, data FROM events WHERE type LIKE 'system.alert%'")
    assert event["session_id"] == bad.session.session_id
    # As soon as it can be read, it counts.
    path.unlink() if path.is_symlink() else path.rmdir()
    path.with_suffix(".kept").rename(path)
    await rest.look()
    assert await bad.usage() == {"b1": 5, "b2": 7}
    assert await uncounted(store) == {}


async def test_what_cannot_be_read_is_asked_for_less_and_less_often(
    rest: Rest, store: Store, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = await lost(store, home, tmp_path / "bad")
    bad.main.mkdir()
    now = 1000.0
    monkeypatch.setattr(left_behind, "LONGEST_RETRY_SECONDS", 600.0)
    monkeypatch.setattr(left_behind, "monotonic", lambda: now)
    asked: list[float] = []

    def noted(path: Path, place: Place) -> Piece | None:
        if path == bad.main:
            asked.append(now)
        return read_on(path, place)

    monkeypatch.setattr(left_behind, "read_on", noted)
    for _ in range(1200):
        await rest.look()
        now += left_behind.LOOK_SECONDS
    between = [after - before for before, after in pairwise(asked)]
    assert between[:4] == [2, 4, 8, 16]
    assert set(between[-2:]) == {600}


async def test_bytes_that_are_no_text_cost_their_line_only(
    rest: Rest, store: Store, home: Home, tmp_path: Path
) -> None:
    one = await lost(store, home, tmp_path / "one")
    one.write(user("one") + b"\xff\xfe\x00\n" + assistant("m1", 5) + b"\xc3\x28\n" + assistant("m2", 7))
    hooks = RunDirectory(home, one.runner_id).hooks
    hooks.write_bytes(b"\xff\xfe\x00\n" + hooks.read_bytes() + b"1780312801.0 \xc3\x28")
    await rest.look()
    assert await one.usage() == {"m1": 5, "m2": 7}


async def test_huge_files_are_read_in_pieces(
    rest: Rest, store: Store, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await lost(store, home, tmp_path / "one")
    monkeypatch.setattr(left_behind, "read_on", partial(read_on, most=2000))
    hooks = RunDirectory(home, one.runner_id).hooks
    hooks.write_bytes(b"x" * 5000 + b"\n" + hooks.read_bytes())
    one.write(b"".join(assistant(f"m{number}", number) for number in range(1, 51)))
    await rest.look()
    assert await one.usage() == {f"m{number}": number for number in range(1, 51)}
