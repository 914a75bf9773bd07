"""Sessions that go on elsewhere when their host is lost."""

from stratavore.store.migrations.script import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply 0005_failover.sql."""
    run(__file__)
