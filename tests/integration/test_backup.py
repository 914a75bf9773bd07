"""What ``deploy/backup.sh`` saves can be restored."""

import os
import subprocess
import tarfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from stratavore.embedded.postgres import bundled
from stratavore.environment import write_environment
from tests.support import servers
from tests.support.command_line import PROGRAM
from tests.support.daemon import DaemonProcess
from tests.support.stacks.stack import Stack
from tests.support.waiting import answer

DAY = 24 * 60 * 60
SCRIPT = servers.REPOSITORY / "deploy/backup.sh"


@pytest.fixture
async def empty(stack: Stack) -> AsyncIterator[str]:
    """The DSN of an empty database."""
    name = f"restored_{uuid.uuid4().hex[:12]}"
    await servers.execute(stack, f"CREATE DATABASE {name}")
    yield servers.dsn_of(stack, name)
    await servers.execute(stack, f"DROP DATABASE {name} WITH (FORCE)")


def back_up(daemon: DaemonProcess, directory: Path, *, programs: Path) -> subprocess.CompletedProcess[str]:
    environment = daemon.environment | {"PGPASSWORD": urlsplit(daemon.dsn).password or ""}
    environment["PATH"] = os.pathsep.join([str(PROGRAM.parent), str(programs), environment["PATH"]])
    return subprocess.run([SCRIPT, directory], env=environment, capture_output=True, text=True, timeout=60, check=False)


async def everything(dsn: str) -> dict[str, int]:
    """How many rows each table has."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
        return {name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for (name,) in tables}
    finally:
        await connection.close()


async def test_a_backup_is_restored(daemon: DaemonProcess, tmp_path: Path, empty: str) -> None:
    (session,) = await daemon.launch(await daemon.project(["cat"]))
    await daemon.wait(session, "running")

    async def idle() -> bool:
        return bool((await daemon.call("find_session", target=session))["activity"] == "idle")

    await answer(idle, what="an agent that does nothing any more, of which there is nothing to record")
    write_environment(daemon.home.session_environment(session), {"PATH": "/usr/bin"})
    directory = tmp_path / "backups"
    old, kept = directory / "2020-01-01T00-00-00Z", directory / "not-ours"
    for one in (old, kept):
        one.mkdir(parents=True)
        os.utime(one, (time.time() - 20 * DAY,) * 2)
    done = back_up(daemon, directory, programs=bundled().programs)
    assert (done.returncode, done.stderr) == (0, "")

    assert not old.exists()
    (made,) = set(directory.iterdir()) - {kept}
    assert made.stat().st_mode & 0o077 == 0
    with tarfile.open(made / "state.tar") as state:
        assert {"identity.json", "secrets.json", f"sessions/{session}.environment"} <= set(state.getnames())
    restore = [str(bundled().programs / "pg_restore"), "--exit-on-error", "--no-owner", "--dbname", empty]
    subprocess.run([*restore, str(made / "stratavore.dump")], check=True, timeout=60)
    before = await everything(daemon.dsn)
    assert before["sessions"] == 1
    assert await everything(empty) == before


async def test_what_failed_leaves_nothing(daemon: DaemonProcess, tmp_path: Path) -> None:
    done = back_up(daemon, tmp_path / "backups", programs=tmp_path)
    assert done.returncode != 0
    assert "pg_dump" in done.stderr
    assert list((tmp_path / "backups").iterdir()) == []
