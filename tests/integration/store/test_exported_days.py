"""Which days have a file, and which files are written anew: asked for at a time, so that no midnight comes between."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from temporalio.client import Client

from stratavore.agents.conversation import Reply, Tokens
from stratavore.control.exports import Exports
from stratavore.exports import COLUMNS, ExportFormat, read
from stratavore.paths import Home
from stratavore.store import projects, sessions, usage
from stratavore.store.usage import Used
from tests.integration.store.steps import Session, Store

HEADER = ",".join(COLUMNS) + "\n"
DUE = datetime(2026, 3, 1, 0, 15, tzinfo=UTC)
DAYS = {back: DUE.date() - timedelta(days=back) for back in (0, 1, 2, 20, 40)}

Write = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def write(store: Store, home: Home, tmp_path: Path) -> Write:
    """Writes what is due; gives the days whose files were written."""
    exports = Exports(home, "here", store.database, cast(Client, None))

    async def written() -> list[str]:
        done = await exports.write_days(tmp_path, "csv", DUE)
        return [Path(one).stem.removeprefix("tokens-") for one in done.written]

    return written


async def use(store: Store, runner_id: str, session: Session, day: date, message: str) -> None:
    """Let it have used something in the last second of a day in UTC."""
    at = datetime.combine(day, datetime.max.time(), UTC)
    tokens = Tokens(input=1, output=20, cache_creation=300, cache_read=4000)
    reply = Reply(id=message, model="opus", at=at, tokens=tokens)
    async with store.database.transaction("test") as transaction:
        await sessions.lock(transaction.connection, session.session_id)
        await usage.add(transaction.connection, [Used(runner_id, session.session_id, reply, Decimal("0.000001"))])


async def test_each_day_has_a_file_when_it_is_over(store: Store, write: Write, tmp_path: Path) -> None:
    session = Session(await store.project())
    runner = (await store.runner(session)).runner_id
    files = {back: tmp_path / f"tokens-{day}.csv" for back, day in DAYS.items()}
    assert await write() == [str(DAYS[1])]
    assert files[1].read_text() == HEADER, "nothing was used"

    for back in (0, 2, 20, 40):
        await use(store, runner, session, DAYS[back], f"first-{back}")
    assert await write() == [str(DAYS[20]), str(DAYS[2])]
    assert sorted(tmp_path.iterdir()) == sorted(files[back] for back in (1, 2, 20))
    line = f"{session.project.name},{session.session_id},opus,1,1,20,300,4000,4321,0.000001,0\n"
    assert files[2].read_text() == f"{HEADER}{DAYS[2]},{line}"

    for back in (1, 20):  # of a host that was away; it comes late, and for the files of weeks ago too late
        await use(store, runner, session, DAYS[back], f"late-{back}")
    assert await write() == [str(DAYS[1])]
    assert files[1].read_text() == f"{HEADER}{DAYS[1]},{line}"
    assert files[20].read_text() == f"{HEADER}{DAYS[20]},{line}"
    assert await write() == []


@pytest.mark.parametrize("form", ExportFormat)
async def test_what_was_used_stays_though_its_project_is_deleted(
    store: Store, home: Home, tmp_path: Path, form: ExportFormat
) -> None:
    exports = Exports(home, "here", store.database, cast(Client, None))
    stays, goes = Session(await store.project("stays")), Session(await store.project("goes"))
    runners = {one.session_id: (await store.runner(one)).runner_id for one in (stays, goes)}
    day = DAYS[2]
    for one in (stays, goes):
        await use(store, runners[one.session_id], one, day, f"first-{one.session_id}")
    await exports.write_days(tmp_path, form, DUE)
    file = tmp_path / f"tokens-{day}.{form}"
    before = file.read_text()

    async with store.database.transaction("test") as transaction:
        await projects.delete(transaction.connection, goes.project.project_id)
    for _ in range(2):
        assert str(file) not in (await exports.write_days(tmp_path, form, DUE)).written
    assert file.read_text() == before
    await use(store, runners[stays.session_id], stays, day, "late")
    assert str(file) in (await exports.write_days(tmp_path, form, DUE)).written
    rows = {str(row["session_id"]): row for row in read(file.read_bytes(), form)}
    assert {one: int(row["replies"]) for one, row in rows.items()} == {stays.session_id: 2, goes.session_id: 1}
    assert [row["project"] for row in read(file.read_bytes(), form)] == ["goes", "stays"]
    assert (await exports.write_days(tmp_path, form, DUE)).written == ()
