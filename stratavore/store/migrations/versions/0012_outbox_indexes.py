"""What is looked for in the outbox has an index each."""

from stratavore.store.migrations.script import run

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply 0012_outbox_indexes.sql."""
    run(__file__)
