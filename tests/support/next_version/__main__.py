"""``python -m tests.support.next_version``: ``stratavored`` of the next version."""

import shutil
from pathlib import Path

from stratavore.paths import Home
from stratavore.store import migrate
from tests.support.next_version import SCHEMA
from tests.support.next_version.workflow import NextSessionWorkflow
from worker import daemon, registry

_MIGRATION = f"""\
from stratavore.store.migrations.script import run

revision = "{SCHEMA}"
down_revision = "{migrate.HEAD}"


def upgrade() -> None:
    run(__file__)
"""


def migrations() -> Path:
    """Those of this version, and one more; in the state directory, with which they go."""
    copy = Home.from_environment().root / "migrations"
    shutil.copytree(migrate.MIGRATIONS, copy, dirs_exist_ok=True)
    (copy / f"versions/{SCHEMA}_next.py").write_text(_MIGRATION)
    (copy / f"versions/{SCHEMA}_next.sql").write_text("ALTER TABLE sessions ADD COLUMN next text;\n")
    return copy


if __name__ == "__main__":
    migrate.MIGRATIONS, migrate.HEAD = migrations(), SCHEMA
    registry.SessionWorkflow = NextSessionWorkflow  # type: ignore[attr-defined]
    daemon.main()
