"""The project that a budget is of, said once."""

from stratavore.store.migrations.script import run

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply 0011_project_of_budget.sql."""
    run(__file__)
