"""Quotas and budgets as bars."""

from datetime import UTC, datetime, timedelta

from cli import text
from cli.bars import Bar
from cli.output import Row
from stratavore.quotas import QUOTAS

_UNITS = {quota.name: quota.unit for quota in QUOTAS}
_OF_A_DAY = "max_tokens_per_day"


def of_quota(row: Row) -> Bar:
    """A quota that is set. Tokens begin anew at midnight in UTC."""
    unit = _UNITS.get(row["name"], "")
    label = {"runners": "runners", "MB": "memory", "tokens": "tokens a day"}.get(unit, row["name"])
    resets = _midnight() if row["name"] == _OF_A_DAY else None
    return Bar(f"{_whose(row)} {label}", row["used"], row["limit"], unit, resets)


def of_budget(row: Row) -> Bar:
    """A budget in its present period, with what was approved."""
    return Bar(
        f"{_whose(row)} {row['period']} budget", row["used"], row["amount"] + row["extra"], row["unit"], row["ends_at"]
    )


def _whose(row: Row) -> str:
    if row["session_id"]:
        return text.short(row["session_id"])
    return text.one_line(row["project"]) if row["project"] else "all"


def _midnight() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
