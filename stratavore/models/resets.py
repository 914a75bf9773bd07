"""Messages of the workflow that begins a period anew: what is reset, and what came of it."""

from datetime import date, datetime
from enum import StrEnum

from stratavore.models.base import Model
from stratavore.naming import plural


class Resettable(StrEnum):
    """What has periods."""

    QUOTAS = "quotas"
    """Limits of a day: tokens."""


class ResetRequest(Model):
    """What a schedule begins."""

    what: Resettable

    @property
    def title(self) -> str:
        """For people."""
        return f"Reset of {self.what}"


class ResetStep(Model):
    """Begin the period anew that has come by ``due``. Key: what, and the period."""

    what: Resettable
    due: datetime
    """By Temporal's clock."""


class ResetDone(Model):
    """What came of it."""

    period: date
    let_in: int
    """Sessions that had waited for it."""

    @property
    def summary(self) -> str:
        """In one sentence."""
        return f"{self.period}: {plural(self.let_in, 'session')} let in"
