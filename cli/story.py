"""What became of a session: its events as a timeline, with how long each runner lived and each recovery took."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from cli import text
from cli.output import Column, Row

KEYS = ("at", "generation", "what", "after_s", "detail")

_WORDS = {
    "session.created": "created",
    "session.paused": "paused",
    "session.parked": "parked",
    "session.limited": "limited",
    "session.asking": "asking",
    "session.ended": "ended",
    "session.unreachable": "unreachable",
    "session.reachable": "reachable",
    "quota.exceeded": "queued",
    "runner.started": "started",
    "runner.stopped": "stopped",
    "runner.failed": "failed",
    "runner.activity": "asks",
}
_OF_HOSTS = ("session.unreachable", "session.reachable")
_BESIDE = "session.resumed"
"""Always told together with the start of a runner."""


def story(events: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows of the timeline, oldest first.

    Args:
        events: of one session, in their order.

    Returns:
        ``after_s`` is, of a runner's end, how long it had lived, and of its start how long the session had been without
        one, unless somebody had put it away.
    """
    rows = []
    began: datetime | None = None
    ended: datetime | None = None
    for event in events:
        kind, data, at = event["type"], event["data"], datetime.fromisoformat(event["time"])
        if kind == _BESIDE:
            continue
        after = None
        if kind in ("runner.stopped", "runner.failed"):
            after = data.get("lived_s")
            # While nobody looked (a daemon that was away), the end is older than its record.
            ended = min(at, began + timedelta(seconds=after)) if began and after is not None else at
        elif kind == "runner.started":
            after = round((at - ended).total_seconds(), 3) if ended else None
            began, ended = at, None
        elif kind.startswith("session.") and kind not in _OF_HOSTS:
            ended = None
        rows.append(
            {
                "at": event["time"],
                "generation": _generation(data),
                "what": _WORDS.get(kind, kind),
                "after_s": after,
                "detail": _detail(kind, data, after),
            }
        )
    return rows


def _generation(data: dict[str, Any]) -> int | None:
    number = str(data.get("runner_id", "")).rpartition(".")[2]
    return int(number) if number.isdigit() else None


def _detail(kind: str, data: dict[str, Any], after: float | None) -> str | None:
    match kind:
        case "session.created":
            return f"{data.get('agent')} in {data.get('cwd')}"
        case "quota.exceeded":
            in_line = f"place {data.get('position')} in line, because of {data.get('limit')}"
            return in_line if data.get("position") else f"refused: {data.get('reason')}"
        case "runner.started" if after is not None:
            return f"runs again {text.exactly(after)} later, as process {data.get('pid')}"
        case "runner.started":
            return f"process {data.get('pid')}"
        case "session.reachable":
            return f"the host {data.get('host')} is back"
        case "runner.activity":
            return data.get("question")
        case _:
            return data.get("reason")


COLUMNS = [
    Column("WHEN", lambda row: text.clock(row["at"])),
    Column("RUNNER", lambda row: row["generation"], right=True, drop=1),
    Column("WHAT", lambda row: row["what"], state=True),
    Column("AFTER", lambda row: text.exactly(row["after_s"]), right=True, drop=2),
    Column("WHY, OR HOW", lambda row: row["detail"], cut=True),
]
