"""Charges of budgets: replies that are read late."""

from stratavore.store.migrations.script import run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply 0008_charges.sql."""
    run(__file__)
