"""What agents say and spend: transcripts, messages to search, replies priced."""

from stratavore.store.migrations.script import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply 0002_conversations.sql."""
    run(__file__)
