"""Budgets: tokens or dollars for a period of time."""

from stratavore.store.migrations.script import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply 0006_budgets.sql."""
    run(__file__)
