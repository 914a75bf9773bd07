"""Messages of the workflow that begins a period anew: what is reset, and what came of it."""

from datetime import datetime
from enum import StrEnum

from stratavore.models.base import Model
from stratavore.naming import plural


class Resettable(StrEnum):
    """What has periods."""

    QUOTAS = "quotas"
    """Limits of a day: tokens."""
    BUDGETS = "budgets"
    """All that have one period by one clock."""


class ResetRequest(Model):
    """What a schedule begins."""

    what: Resettable
    period: str = ""
    """Of budgets."""
    timezone: str = ""
    """Of budgets: whose clock their periods follow."""

    @property
    def title(self) -> str:
        """For people."""
        clock = f", by the clock of {self.timezone}" if self.timezone else ""
        return f"Reset of {' '.join(filter(None, (self.period, self.what)))}{clock}"


class ResetStep(Model):
    """Begin the period anew that has come by ``due``. Key: what, and the period."""

    what: Resettable
    period: str = ""
    timezone: str = ""
    due: datetime
    """By Temporal's clock."""


class ResetDone(Model):
    """What came of it."""

    period: str
    """That has begun."""
    let_in: int
    """Sessions that had waited for it."""

    @property
    def summary(self) -> str:
        """In one sentence."""
        return f"{self.period}: {plural(self.let_in, 'session')} let in"
