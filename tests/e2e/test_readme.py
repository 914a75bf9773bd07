"""The README's commands as they are written, on a machine that has never seen Stratavore: a clone and an empty home."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from stratavore.embedded.stack import EmbeddedStack
from stratavore.embedded.temporal import find_binary
from stratavore.paths import Home
from tests.support.servers import REPOSITORY
from tests.support.waiting import until

SECONDS = 600.0
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEVER_USUAL_PORTS = {
    "STRATAVORE_TEMPORAL__PORT": "0",
    "STRATAVORE_TEMPORAL__UI_PORT": "0",
    "STRATAVORE_POSTGRES__PORT": "0",
    "STRATAVORE_RABBITMQ__PORT": "0",
    "STRATAVORE_RABBITMQ__MANAGEMENT_PORT": "0",
    "STRATAVORE_METRICS__PORT": "0",
}


@dataclass(frozen=True)
class Machine:
    """A person's home directory and clone, and what a shell there has in its environment."""

    person: Path
    clone: Path
    home: Home

    @property
    def environment(self) -> dict[str, str]:
        """This machine's, without what belongs to Stratavore, to ``make`` or to this virtual environment."""
        foreign = ("STRATAVORE_", "XDG_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "COV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        temporal = find_binary(os.environ.get("STRATAVORE_TEMPORAL__BINARY"))
        assert temporal is not None
        programs = (f"{sys.base_prefix}/bin", str(temporal.parent), kept["PATH"])
        return {
            "PIP_CACHE_DIR": str(Path.home() / ".cache/pip"),
            **kept,
            **NEVER_USUAL_PORTS,
            "PATH": os.pathsep.join(programs),
            "HOME": str(self.person),
            "STRATAVORE_HOME": str(self.home.root),
        }

    def run(self, commands: str, *, given: str = "") -> str:
        """What commands print in the clone; they succeed."""
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=self.clone,
            env=self.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout

    def ask(self, *words: str) -> Any:
        """What the command line tells a program."""
        return json.loads(self.run(f".venv/bin/stratavore {' '.join(words)} --format json"))

    def snapshot(self) -> dict[str, Any]:
        """What a second ``make up`` could change."""
        daemon = self.ask("daemon", "status")
        return {
            "processes": {one["name"]: one["pid"] for one in daemon["servers"]},
            "sessions": [(one["session_id"], one["generation"]) for one in self.ask("sessions")],
            "projects": [one["name"] for one in self.ask("projects")],
            "installed": {path: path.lstat().st_mtime_ns for path in (self.clone / ".venv").glob("*/*")},
        }

    def processes(self) -> list[str]:
        """Every process that works in, or was told of, a directory of this machine."""
        own = [str(path) for path in (self.person, *EmbeddedStack(self.home, None).directories)]
        found = []
        for entry in Path("/proc").iterdir():
            try:
                said = (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
                line = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if any(os.fsencode(path) in said for path in own):
                found.append(line)
        return found


@pytest.fixture
def machine(home: Home) -> Iterator[Machine]:
    """A clone as git would make it, of what is here now, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    with TemporaryDirectory(prefix="sv-", dir="/tmp", ignore_cleanup_errors=True) as person:
        clone = Path(person) / "stratavore"
        for name in filter(None, listed.split("\0")):
            if (REPOSITORY / name).is_file():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, clone / name)
        yield Machine(Path(person), clone, home)


@pytest.mark.timeout(900)  # it installs everything
async def test_every_command_of_the_readme(machine: Machine) -> None:
    up, *others, down = COMMANDS.findall((machine.clone / "README.md").read_text())
    assert (up, down) == ("make up\n", "make down\n")

    said = machine.run(up)
    for wanted in ("daemon ", "temporal ", "postgres ", "session ", "Web UI: http://127.0.0.1:", "Try next:"):
        assert wanted in said

    before = machine.snapshot()
    machine.run(up)
    assert machine.snapshot() == before

    for commands in others:
        machine.run(commands)
    for suggested in said.partition("Try next:\n")[2].splitlines()[:2]:  # the third shows things until a key is pressed
        machine.run(re.split(r"\s{2,}", suggested.strip())[0])
    assert "buy milk" in machine.run(".venv/bin/stratavore logs hello")

    machine.run(down)
    await until(lambda: not machine.processes(), what="the end of every process")

    machine.run(f"STRATAVORE_RABBITMQ__ENABLED=false {up}")  # which takes long to end while it starts
    assert [one["generation"] for one in machine.ask("sessions")] == [2]

    machine.run("make purge", given="delete\n")
    await until(lambda: not machine.processes(), what="the end of every process")
    assert not any(path.exists() for path in EmbeddedStack(machine.home, None).directories)
    assert not (machine.clone / ".venv").exists()
