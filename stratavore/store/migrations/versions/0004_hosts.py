"""Many hosts: which are away, what they have, what becomes of sessions of a lost one."""

from stratavore.store.migrations.script import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply 0004_hosts.sql."""
    run(__file__)
