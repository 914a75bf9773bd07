"""What is in the database comes back, as it was at one moment; what fails, or is killed, leaves nothing."""

import asyncio
import os
import signal
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from stratavore.backup.archive import opened
from stratavore.embedded.secrets import Secrets
from stratavore.environment import write_environment
from stratavore.errors import EXIT_REFUSED
from stratavore.killpoints import VARIABLE
from stratavore.paths import Home
from stratavore.store.migrate import HEAD, migrate
from tests.integration.backup.conftest import CommandFor, begin, everything
from tests.support.command_line import PROGRAM, CommandLine
from tests.support.processes import marked

WRITERS = 50


async def schema(dsn: str) -> str | None:
    """The newest migration of a database."""
    connection = await asyncpg.connect(dsn)
    try:
        if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
            return None
        found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return found
    finally:
        await connection.close()


async def sessions(dsn: str) -> int:
    """How many sessions a database has."""
    if await schema(dsn) is None:
        return 0
    return len((await everything(dsn))["sessions"])


@pytest.fixture
async def session(database: str, home: Home) -> str:
    """A session in the first database, with an environment."""
    connection = await asyncpg.connect(database)
    made = await begin(connection)
    await connection.close()
    write_environment(home.session_environment(made), {"KEY": "of the agent"})
    return made


async def saved(command: CommandLine, name: str = "saved.tar", *words: str) -> Path:
    """A backup."""
    path = command.directory / name
    await command.done("backup", str(path), *words)
    return path


async def test_everything_comes_back(
    command_for: CommandFor, home: Home, database: str, empty: str, session: str
) -> None:
    before = await everything(database)
    Secrets("p", "r", "the key").write(home)
    path = await saved(command_for(database))
    assert path.stat().st_mode & 0o777 == 0o600
    assert "is whole: 1 project and 1 session, as of" in await command_for(database).done(
        "backup", "--verify", str(path)
    )
    home.session_environment(session).unlink()
    Secrets("other", "other", "another key").write(home)

    told = await command_for(empty).done("restore", str(path))
    assert told.startswith("Restored 1 project and 1 session, as of ")
    after = await everything(empty)
    assert after.keys() == before.keys()
    del after["hosts"], before["hosts"]  # its lease has ended
    shown = before.pop("sessions"), after.pop("sessions")
    assert after == before
    # What ran does not run: it is the same but for that.
    assert [[one.split(",")[0] for one in rows] for rows in shown] == [[f"({session}"], [f"({session}"]]
    assert ([",running,," in one for one in shown[0]], [",recovering," in one for one in shown[1]]) == ([True], [True])
    assert home.session_environment(session).read_bytes() == b"KEY=of the agent\0"
    assert home.session_environment(session).stat().st_mode & 0o777 == 0o600
    assert Secrets.of(home) == Secrets("other", "other", "the key")
    connection = await asyncpg.connect(empty)
    assert not await connection.fetchval("SELECT count(*) FROM hosts WHERE lease_expires_at > now()")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):  # append-only again
        await connection.execute("DELETE FROM events")
    await begin(connection)  # numbers go on behind those that were given out
    tickets = [row["ticket"] for row in await connection.fetch("SELECT ticket FROM admissions ORDER BY asked_at")]
    assert tickets == [1, 2]
    await connection.close()


def passed_by(command: CommandLine, content: bytes) -> "subprocess.CompletedProcess[bytes]":
    """What is said of a backup that comes from a pipe."""
    words = [str(PROGRAM), "backup", "--verify", "-"]
    return subprocess.run(words, env=command.environment, input=content, capture_output=True, check=False)


async def test_a_backup_in_a_directory_a_pipe_and_without_secrets(
    command_for: CommandFor, database: str, session: str, tmp_path: Path
) -> None:
    command = command_for(database)
    told = await command.done("backup", str(tmp_path))
    (made,) = tmp_path.glob("stratavore-build-1-*Z.tar")
    assert str(made) in told
    assert [one.name for one in tmp_path.iterdir()] == [made.name]
    piped = tmp_path / "piped.tar"
    with piped.open("wb") as file:
        process = command.start("backup", "-", "--without-secrets", out=file.fileno())
        _, said = await asyncio.to_thread(process.communicate)
        assert (process.returncode, said) == (0, "")
    with tarfile.open(piped) as archive, tarfile.open(made) as whole:
        names = set(archive.getnames())
        assert set(whole.getnames()) - names == {f"secrets/environments/{session}"}
    opened(piped).close()
    for content, code in ((piped.read_bytes(), 0), (piped.read_bytes()[:-20_000], EXIT_REFUSED)):
        seen = await asyncio.to_thread(passed_by, command, content)
        assert seen.returncode == code, seen
        assert seen.stdout.startswith(b"standard input is whole: 1 project and 1 session" if code == 0 else b"")


async def test_it_is_of_one_moment_while_many_write(
    command_for: CommandFor, database: str, empty: str, tmp_path: Path
) -> None:
    pool = await asyncpg.create_pool(database, min_size=0, max_size=10)
    async with pool.acquire() as connection:
        made = [await begin(connection) for _ in range(WRITERS)]
    stop = asyncio.Event()

    async def write(session: str) -> int:
        replies = 0
        while not stop.is_set():
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "INSERT INTO usage VALUES ($1, $2, $3, 'm', now(), 1, 0, 0, 0, 0)",
                    session,
                    str(replies),
                    f"{session}.1",
                )
                await connection.execute(
                    "UPDATE runners SET input_tokens = input_tokens + 1 WHERE id = $1", f"{session}.1"
                )
            replies += 1
            await asyncio.sleep(0.01)
        return replies

    writers = [asyncio.create_task(write(one)) for one in made]
    path = await saved(command_for(database))
    stop.set()
    written = sum(await asyncio.gather(*writers))
    await pool.close()
    await command_for(empty).done("restore", str(path))
    restored = await asyncpg.connect(empty)
    rows = await restored.fetch(
        "SELECT input_tokens, (SELECT count(*) FROM usage WHERE runner_id = runners.id) AS replies FROM runners"
    )
    await restored.close()
    assert len(rows) == WRITERS
    assert all(row["input_tokens"] == row["replies"] for row in rows)
    assert 0 < sum(row["replies"] for row in rows) < written


async def test_an_older_schema_is_restored_and_then_migrated(
    command_for: CommandFor, empty: str, database: str, tmp_path: Path
) -> None:
    older = empty
    await migrate(older, "0003")
    connection = await asyncpg.connect(older)
    made = await begin(connection)
    path = await saved(command_for(older))
    await connection.execute("DROP SCHEMA public CASCADE")
    await connection.execute("CREATE SCHEMA public")
    await connection.close()
    await command_for(older).done("restore", str(path))
    assert await schema(older) == HEAD
    assert [made in row for row in (await everything(older))["sessions"]] == [True]
    said = await command_for(database).refused(5, "restore", str(path))
    assert f"its schema is 0003, and the database has {HEAD} already: name a new one" in said


async def test_another_machine_takes_the_place_of_the_only_host(
    command_for: CommandFor, database: str, empty: str, session: str
) -> None:
    before = await asyncpg.connect(database)
    await before.execute("""UPDATE sessions SET launch = launch || '{"host": "build-1"}'""")
    await before.close()
    path = await saved(command_for(database))
    other = command_for(empty, {"STRATAVORE_HOST": "build-2"})
    assert "No session of the backup is on a host 'build-9'. Those that have some: build-1." in await other.refused(
        3, "restore", str(path), "--replaces", "build-9"
    )
    done = await other("restore", str(path))
    assert (done.code, done.err) == (0, "This host, build-2, takes the place of build-1.\n")
    connection = await asyncpg.connect(empty)
    hosts = await connection.fetch(
        "SELECT host FROM sessions UNION SELECT launch->>'host' FROM sessions UNION SELECT host FROM runners"
        " UNION SELECT name FROM hosts"
    )
    await connection.close()
    assert [row["host"] for row in hosts] == ["build-2"]


@pytest.mark.parametrize("point", ["backup.write.before", "backup.write.after", "backup.rename.before"])
async def test_a_death_leaves_no_backup(command_for: CommandFor, database: str, session: str, point: str) -> None:
    command = command_for(database)
    done = await command.with_settings(**{VARIABLE: point})("backup", "saved.tar")
    assert done.code == -signal.SIGKILL
    assert not (command.directory / "saved.tar").exists()
    await saved(command)


async def test_a_death_after_the_name_was_given_leaves_a_whole_one(
    command_for: CommandFor, database: str, session: str
) -> None:
    command = command_for(database)
    done = await command.with_settings(**{VARIABLE: "backup.rename.after"})("backup", "saved.tar")
    assert done.code == -signal.SIGKILL
    await command.done("backup", "--verify", "saved.tar")


async def test_a_death_leaves_nothing_restored(
    command_for: CommandFor, database: str, empty: str, session: str, home: Home
) -> None:
    path = await saved(command_for(database))
    command = command_for(empty)
    left = home.runners / f"{uuid.uuid4()}.7"
    left.mkdir()
    for point in (
        "restore.aside.before",
        "restore.aside.after",
        "restore.secrets.before",
        "restore.secrets.after",
        "restore.fill.before",
        "restore.fill.after",
    ):
        done = await command.with_settings(**{VARIABLE: point})("restore", str(path))
        assert done.code == -signal.SIGKILL, (point, done)
        assert await sessions(empty) == 0
        assert left.exists() == (point == "restore.aside.before")
    done = await command.with_settings(**{VARIABLE: "restore.commit.after"})("restore", str(path))
    assert done.code == -signal.SIGKILL
    assert await sessions(empty) == 1
    (aside,) = home.root.glob("before-restore-*")
    assert (aside / "runners" / left.name).is_dir()
    assert home.restored_file.exists()


@contextmanager
def an_agent(home: Home, runner_id: str) -> Iterator[int]:
    """A process as an agent of the state directory is."""
    environment = {"STRATAVORE_HOME": str(home.root), "STRATAVORE_RUNNER_ID": runner_id}
    pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], environment)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def test_what_is_in_the_way_is_left_alone(
    command_for: CommandFor, database: str, empty: str, session: str, home: Home
) -> None:
    path = await saved(command_for(database))
    said = await command_for(database).refused(5, "restore", str(path))
    assert "has 1 project and 1 session, and a restore replaces none." in said
    assert "There is a file saved.tar already." in await command_for(database).refused(5, "backup", "saved.tar")
    await command_for(database).done("backup", "saved.tar", "--force")
    with an_agent(home, f"{session}.1") as pid:
        said = await command_for(empty).refused(5, "restore", str(path))
        assert f"live (processes {pid}), and would write" in said
        assert [one.pid for one in marked(session_id=session)] == [pid]
        await command_for(empty).done("restore", str(path), "--end-agents")
        assert marked(session_id=session) == []


async def test_files_that_are_no_whole_backup(
    command_for: CommandFor, database: str, empty: str, session: str, tmp_path: Path
) -> None:
    command = command_for(empty)
    whole = (await saved(command_for(database))).read_bytes()
    (tmp_path / "nothing.tar").touch()
    (tmp_path / "text.tar").write_text("words\n" * 1000)
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "changed.tar").write_bytes(whole.replace(b"of the agent", b"of an ageNT!"))
    (tmp_path / "later.tar").write_bytes(
        whole.replace(b'"format": 1', b'"format": 7').replace(b'"format":1', b'"format":7')
    )
    with tarfile.open(tmp_path / "other.tar", "w") as other:
        other.add(tmp_path / "text.tar", "text")
    said = {
        "missing.tar": (2, "no such file or directory"),
        "nothing.tar": (2, "it is empty"),
        "text.tar": (2, "it is another kind of file"),
        "other.tar": (2, "it is another kind of archive"),
        "cut.tar": (5, "the end of it is missing"),
        "changed.tar": (5, f"secrets/environments/{session} is missing or has changed"),
        "later.tar": (5, "it is of the format 7, and this version reads 1"),
    }
    for name, (code, reason) in said.items():
        assert reason in await command.refused(code, "restore", name), name
    assert await schema(empty) is None


async def test_nothing_to_save(command_for: CommandFor, empty: str, tmp_path: Path) -> None:
    said = await command_for(empty).refused(3, "backup", "saved.tar")
    assert said.startswith("There is nothing to save: no daemon has used the database")
    said = await command_for(empty).refused(4, "backup", "nowhere/saved.tar")
    assert "no such file or directory" in said
    assert list(tmp_path.iterdir()) == []
