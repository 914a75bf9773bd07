"""A host writes what was used on each day: when its settings say so, whole, and told if it cannot.

Which day is the newest that is over depends on when a run begins: a midnight may come between it and its test.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from stratavore.exports import COLUMNS
from stratavore.naming import export_of_host
from tests.integration.reconcile.test_schedules import described, handle, run
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until


async def test_it_is_written_as_long_as_a_directory_is_named(daemon_process: DaemonProcess, tmp_path: Path) -> None:
    daemon, there = daemon_process, tmp_path / "exports"
    await daemon.start(settings={"STRATAVORE_EXPORT__DIRECTORY": str(there)})
    name = export_of_host(daemon.host)
    spec = (await described(daemon, name)).schedule.spec
    assert [(one.hour[0].start, one.minute[0].start) for one in spec.calendars] == [(0, 15)]
    await (await handle(daemon, name)).pause()  # its own time may come now
    before = datetime.now(UTC).date()
    assert await run(daemon, name) == "1 file written"
    (file,) = there.iterdir()
    days = (before, datetime.now(UTC).date())
    assert file.name in {f"tokens-{day - timedelta(days=1)}.csv" for day in days}
    assert file.read_text() == ",".join(COLUMNS) + "\n", "nothing was used"

    daemon.kill()
    await daemon.start()  # which does not name a directory

    async def gone() -> bool:
        listed = [one.id async for one in await (await daemon.client()).list_schedules()]
        return name not in listed

    await answer(gone, what="the end of the schedule")


async def test_a_daemon_that_dies_over_it_leaves_whole_files(daemon_process: DaemonProcess, tmp_path: Path) -> None:
    daemon = daemon_process
    settings = {"STRATAVORE_EXPORT__DIRECTORY": str(tmp_path), "STRATAVORE_EXPORT__FORMAT": "json"}
    await daemon.start(kill_at="export.write.before", settings=settings)
    name = export_of_host(daemon.host)
    await described(daemon, name)
    await (await handle(daemon, name)).trigger()
    await until(lambda: daemon.ended, what="the daemon's death")
    assert list(tmp_path.iterdir()) == []
    await daemon.start(settings=settings)
    await until(lambda: list(tmp_path.glob("tokens-*.json")), what="the file", timeout=300)
    (file,) = tmp_path.glob("tokens-*.json")
    assert file.read_text() == "[]\n"


async def test_what_cannot_be_written_is_told_and_tried_again(daemon_process: DaemonProcess, tmp_path: Path) -> None:
    daemon = daemon_process
    today = datetime.now(UTC).date()
    in_the_way = [tmp_path / f"tokens-{day}.csv" for day in (today - timedelta(days=1), today)]
    for one in in_the_way:
        one.mkdir()
    await daemon.start(settings={"STRATAVORE_EXPORT__DIRECTORY": str(tmp_path)})
    name = export_of_host(daemon.host)
    await described(daemon, name)
    await (await handle(daemon, name)).pause()
    await (await handle(daemon, name)).trigger()

    async def told() -> list[str]:
        rows = await daemon.fetch("SELECT data ->> 'message' AS told FROM events WHERE type = 'system.alert'")
        return [row["told"] for row in rows]

    (message,) = await answer(told, what="the alert")
    assert message.startswith(tuple(f"The file {one} of what was used cannot be written: " for one in in_the_way))
    for one in in_the_way:
        one.rmdir()
    await until(lambda: any(one.is_file() for one in in_the_way), what="the file, at last")
    (file,) = (one for one in in_the_way if one.is_file())
    assert file.read_text() == ",".join(COLUMNS) + "\n"
    assert len(await told()) == 1
