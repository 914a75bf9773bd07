"""Limits of memory and of tokens: what is used of them, and what set them."""

from stratavore.store.migrations.script import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply 0003_limits.sql."""
    run(__file__)
