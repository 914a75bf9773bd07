"""Sessions, runners, admission, events."""

from stratavore.store.migrations.script import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply 0001_path.sql."""
    run(__file__)
