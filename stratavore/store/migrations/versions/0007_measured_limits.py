"""Limits of sessions, and limits of memory that are measured to be passed."""

from stratavore.store.migrations.script import run

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply 0007_measured_limits.sql."""
    run(__file__)
