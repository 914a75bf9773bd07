"""Messages of the workflow that writes what was used: who writes it, and what was written."""

from datetime import datetime

from stratavore.models.base import Model
from stratavore.naming import plural


class ExportRequest(Model):
    """What a schedule begins."""

    host: str

    @property
    def title(self) -> str:
        """For people."""
        return f"Export of what was used, by the host {self.host}"


class ExportStep(Model):
    """Write the days that are over by ``due``. Key: the day; written again, a file holds what is known then."""

    due: datetime
    """By Temporal's clock."""


class ExportDone(Model):
    """What came of it."""

    written: tuple[str, ...] = ()
    """Files that are new, or hold something else now."""

    @property
    def summary(self) -> str:
        """In one sentence."""
        return f"{plural(len(self.written), 'file')} written" if self.written else "all files were there"
