"""What runners of a lost host wrote after it was lost."""

from stratavore.store.migrations.script import run

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply 0010_left_behind.sql."""
    run(__file__)
