"""Files of what was used on each day: written when a day is over, once more if more is known, and whole."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from stratavore.exports import COLUMNS
from stratavore.naming import export_of_host
from tests.integration.reconcile.test_schedules import described, handle, run
from tests.integration.worker.watching import running
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer, until

HEADER = ",".join(COLUMNS) + "\n"


async def use(daemon: DaemonProcess, session: str, day: date, message: str) -> None:
    """Let the session have used something at the end of a day in UTC."""
    await daemon.fetch(
        "INSERT INTO usage (session_id, message_id, runner_id, model, at, input_tokens, output_tokens,"
        " cache_creation_tokens, cache_read_tokens, cost_usd)"
        " VALUES ($1, $2, $1::uuid::text || '.1', 'opus',"
        " ($3::date + interval '1 day' - interval '1 second') AT TIME ZONE 'UTC',"
        " 1, 20, 300, 4000, 0.000001)",
        session,
        message,
        day,
    )


async def test_each_day_has_a_file_when_it_is_over(daemon_process: DaemonProcess, tmp_path: Path) -> None:
    daemon, there = daemon_process, tmp_path / "exports"
    settings = {"STRATAVORE_EXPORT__DIRECTORY": str(there)}
    await daemon.start(settings=settings)
    name = export_of_host(daemon.host)
    spec = (await described(daemon, name)).schedule.spec
    assert [(one.hour[0].start, one.minute[0].start) for one in spec.calendars] == [(0, 15)]
    today = datetime.now(UTC).date()
    days = {back: today - timedelta(days=back) for back in (0, 1, 2, 20, 40)}
    files = {back: there / f"tokens-{day}.csv" for back, day in days.items()}
    assert await run(daemon, name) == "1 file written"
    assert files[1].read_text() == HEADER, "nothing was used"

    session, _ = await running(daemon, ["cat"])
    for back in (0, 2, 20, 40):
        await use(daemon, session, days[back], f"first-{back}")
    assert await run(daemon, name) == "2 files written"
    assert sorted(there.iterdir()) == sorted(files[back] for back in (1, 2, 20))
    (row,) = await daemon.fetch("SELECT name FROM projects")
    line = f"{row['name']},{session},opus,1,1,20,300,4000,4321,0.000001,0\n"
    assert files[2].read_text() == f"{HEADER}{days[2]},{line}"

    for back in (1, 20):  # of a host that was away; it comes late, and for the files of weeks ago too late
        await use(daemon, session, days[back], f"late-{back}")
    assert await run(daemon, name) == "1 file written"
    assert files[1].read_text() == f"{HEADER}{days[1]},{line}"
    assert files[20].read_text() == f"{HEADER}{days[20]},{line}"
    assert await run(daemon, name) == "all files were there"

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
    file = tmp_path / f"tokens-{datetime.now(UTC).date() - timedelta(days=1)}.json"
    await until(file.exists, what="the file", timeout=300)
    assert file.read_text() == "[]\n"


async def test_what_cannot_be_written_is_told_and_tried_again(daemon_process: DaemonProcess, tmp_path: Path) -> None:
    daemon = daemon_process
    in_the_way = tmp_path / f"tokens-{datetime.now(UTC).date() - timedelta(days=1)}.csv"
    in_the_way.mkdir()
    await daemon.start(settings={"STRATAVORE_EXPORT__DIRECTORY": str(tmp_path)})
    name = export_of_host(daemon.host)
    await described(daemon, name)
    await (await handle(daemon, name)).trigger()

    async def told() -> list[str]:
        rows = await daemon.fetch("SELECT data ->> 'message' AS told FROM events WHERE type = 'system.alert'")
        return [row["told"] for row in rows]

    (message,) = await answer(told, what="the alert")
    assert message.startswith(f"The file {in_the_way} of what was used cannot be written: ")
    in_the_way.rmdir()
    await until(in_the_way.is_file, what="the file, at last")
    assert in_the_way.read_text() == HEADER
    assert len(await told()) == 1
