"""Limits of providers, known by account."""

from stratavore.store.migrations.script import run

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply 0009_accounts.sql."""
    run(__file__)
