"""Run a file of plain SQL, many statements at once, inside Alembic's transaction."""

from pathlib import Path
from typing import Any

from alembic import op


def run(migration_file: str) -> None:
    """Execute the ``.sql`` file beside a migration, by the driver itself: SQLAlchemy takes one statement only."""
    sql = Path(migration_file).with_suffix(".sql").read_text(encoding="utf-8")
    adapted: Any = op.get_bind().connection.dbapi_connection
    adapted.run_async(lambda connection: connection.execute(sql))
