"""What was used on each day, in files for other programs."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from stratavore import mounts
from stratavore.control.reach import Reach
from stratavore.errors import ExportFailed
from stratavore.events.envelope import EventType, NewEvent
from stratavore.exports import ExportFormat, Row, kept, read, rendered, write_whole
from stratavore.killpoints import effect
from stratavore.models.exports import ExportDone
from stratavore.models.views import DaySpentView
from stratavore.store import usage

CAUGHT_UP = 31
"""Days back that a missing file is written for."""
BROUGHT_UP = 7
"""Days back that a file is written anew if more is known: of a host that was away it is counted late."""
ANSWER_SECONDS = 60.0
"""What the directory may take for one file, before it is told as one that does not answer."""

_in = partial(mounts.ask, seconds=ANSWER_SECONDS)


class Exports(Reach):
    """Writes a file for each day that is over."""

    async def write_days(self, directory: Path | None, form: str, due: datetime) -> ExportDone:
        """Write the files that are missing, and those of the last days of which more is known now.

        Args:
            directory: where to; it is made if it is missing. None: nowhere, as nobody wants them any more.
            form: ``csv`` or ``json``.
            due: the day of this time, in UTC, is not over.

        Raises:
            ExportFailed: a file cannot be written; an alert tells it, once a day.
        """
        if directory is None:
            return ExportDone()
        today = due.astimezone(UTC).date()
        yesterday = today - timedelta(days=1)
        async with self._database.pool.acquire() as connection:
            rows = await usage.spent_by_day(connection, today - timedelta(days=CAUGHT_UP), yesterday)
        days: dict[str, list[DaySpentView]] = defaultdict(list)
        for row in rows:
            days[row.day].append(row)
        days[yesterday.isoformat()]  # a day without use has a file as well, which says so
        newest = (today - timedelta(days=BROUGHT_UP)).isoformat()
        written = []
        for day in sorted(days):
            path = directory / f"tokens-{day}.{form}"
            known = [row.model_dump() for row in days[day]]
            try:
                text = await _in(directory, partial(_due, path, known, ExportFormat(form), anew=day >= newest))
                if text is not None:
                    with effect("export.write"):
                        await _in(directory, partial(write_whole, path, text, by=self._host))
                    written.append(str(path))
            except OSError as error:
                failed = ExportFailed(path=path, reason=error.strerror or str(error))
                await self._tell(failed, today.isoformat())
                raise failed from error
        return ExportDone(written=tuple(written))

    async def _tell(self, failed: ExportFailed, day: str) -> None:
        data = {"severity": "warning", "message": str(failed), "host": self._host}
        async with self._database.transaction("export.alert") as transaction:
            transaction.emit(NewEvent(None, f"export/{self._host}/{day}", EventType.SYSTEM_ALERT, "", data))


def _due(path: Path, known: Sequence[Row], form: ExportFormat, *, anew: bool) -> str | None:
    """What a file is to hold that is missing, or, if it may be written ``anew``, holds something else; else None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        there = path.read_bytes()
    except FileNotFoundError:
        return rendered(known, form)
    text = rendered(kept(read(there, form), known), form)
    return text if anew and text.encode() != there else None
