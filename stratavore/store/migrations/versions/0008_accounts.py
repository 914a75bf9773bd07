"""Limits of providers, known by account."""

from stratavore.store.migrations.script import run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply 0008_accounts.sql."""
    run(__file__)
