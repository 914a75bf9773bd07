"""A machine with chosen programs: a PATH of one directory, and an empty home."""

import os
import shutil
from pathlib import Path

import pytest

PLAIN = ("sh", "env", "chmod", "mkdir", "true")


class Machine:
    """Its programs, and what the fake ones among them were asked to do."""

    def __init__(self, root: Path) -> None:
        self.programs = root / "bin"
        self.cache = root / "cache/stratavore/bin"
        self._asked = root / "asked"
        self.programs.mkdir()
        for name in PLAIN:
            self.link(name)

    def link(self, name: str) -> None:
        """Have the real program."""
        found = shutil.which(name)
        assert found is not None
        (self.programs / name).symlink_to(found)

    def add(self, name: str, script: str = "") -> Path:
        """Have a program that notes how it was called, and does what the script says."""
        program = self.programs / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {self._asked}\n{script}\n')
        program.chmod(0o755)
        return program

    @property
    def asked(self) -> list[str]:
        """The calls of the programs that were added."""
        return self._asked.read_text().splitlines() if self._asked.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.programs))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("STRATAVORE_CONFIG", os.devnull)
    for name in ("TEMPORAL__BINARY", "TEMPORAL__ADDRESS", "RABBITMQ__URL", "RABBITMQ__ENABLED"):
        monkeypatch.delenv(f"STRATAVORE_{name}", raising=False)
    return made
