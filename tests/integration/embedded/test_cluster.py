"""The database's directory: made whole or not at all, power loss included, and never replaced in silence."""

import logging
import os
import subprocess
from pathlib import Path

import pytest

from stratavore.embedded import accounts
from stratavore.embedded.accounts import Installation
from stratavore.embedded.postgres import OWNER_FILE, PostgresServer
from stratavore.errors import ClusterUnowned
from stratavore.paths import Home

PORTS = {"postgres": 1}


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is made to survive power loss, and what is renamed then, in order."""
    seen: list[Path] = []
    sync, rename = os.fsync, os.rename

    def syncing(handle: int) -> None:
        sync(handle)
        seen.append(Path(f"/proc/self/fd/{handle}").readlink())

    def renaming(source: Path, target: Path) -> None:
        seen.append(Path(target))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "rename", renaming)
    return seen


async def test_it_has_its_name_once_it_is_on_the_disk(home: Home, synced: list[Path]) -> None:
    server = PostgresServer(home, "secret")
    await server.prepare(PORTS)
    new = synced[0].parent
    assert synced == [new / "password", new / "data" / OWNER_FILE, new / "data", server.data, server.directory]


def test_so_does_the_copy_of_its_programs(tmp_path: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ROOTS_DIRECTORY", tmp_path / "copies")
    programs = tmp_path / "pytest/part/bin"
    programs.mkdir(parents=True)
    (programs / "postgres").write_text("program")
    copy = accounts.readable_copy(Installation(tmp_path, "pytest", "part"))
    assert (copy.programs / "postgres").read_text() == "program"
    *before, name, directory = synced
    assert (name, directory) == (copy.root, tmp_path / "copies")
    new = before[0]
    within = ("", "pytest", "pytest/part", "pytest/part/bin", "pytest/part/bin/postgres")
    assert sorted(before) == [new / path for path in within]


async def test_that_of_another_state_directory_is_set_aside_and_told(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    await PostgresServer(home, "of before").prepare(PORTS)
    server = PostgresServer(home, "secret")
    with caplog.at_level(logging.WARNING):
        await server.prepare(PORTS)
    (aside,) = server.directory.glob("old-*")
    assert (aside / "PG_VERSION").exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"the database of a state directory that was here before is set aside: {aside}"
    ]


async def test_one_that_does_not_say_whose_it_is_stays_where_it_is(home: Home) -> None:
    server = PostgresServer(home, "secret")
    await server.prepare(PORTS)
    owner, made = server.data / OWNER_FILE, server.data.stat().st_ino
    for damaged in (None, b"", b"1f2e", b"\0" * 16, b"\xff" * 16):
        owner.unlink()
        if damaged is not None:
            owner.write_bytes(damaged)
        with pytest.raises(ClusterUnowned, match=f"{owner} is missing or damaged") as refused:
            await server.prepare(PORTS)
        assert server.data.stat().st_ino == made
        told = str(refused.value)
        subprocess.run(told[told.index("echo ") : told.index(";")], shell=True, check=True)
        await server.prepare(PORTS)
    assert server.data.stat().st_ino == made
    assert not list(server.directory.glob("old-*"))
