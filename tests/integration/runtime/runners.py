"""Runners for tests: short to launch, easy to wait for."""

import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from stratavore.paths import Home
from stratavore.runtime.host import RunnerHost, Started
from stratavore.runtime.processes import ProcessIdentity, wait_dead
from stratavore.runtime.rundir import ExitRecord, RunDirectory, RunSpec
from stratavore.runtime.tmux import Tmux
from tests.support.waiting import PATIENCE_SECONDS, until

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C.UTF-8"}


class Runners:
    """A host with one project."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.tmux = Tmux(home)
        self.host = RunnerHost(home, self.tmux)
        self.project_id = str(uuid.uuid4())
        self.work = home.root / "work"
        self.work.mkdir()

    def spec(self, *argv: str) -> RunSpec:
        """A first runner of a new session."""
        session = str(uuid.uuid4())
        return RunSpec(
            f"{session}.1", session, self.project_id, "demo", "command", 1, argv, str(self.work), cols=100, rows=30
        )

    def next(self, spec: RunSpec) -> RunSpec:
        """The next runner of the same session."""
        generation = spec.generation + 1
        return replace(spec, generation=generation, runner_id=f"{spec.session_id}.{generation}")

    def python(self, program: str, *words: str) -> RunSpec:
        """A runner of a Python program."""
        return self.spec(sys.executable, "-c", program, *words)

    def shell(self, program: str) -> RunSpec:
        """A runner of a shell script."""
        return self.spec("/bin/sh", "-c", program)

    async def launch(self, spec: RunSpec, environment: Mapping[str, str] = ENVIRONMENT) -> Started:
        """Launch it."""
        return await self.host.launch(spec, environment)

    async def agent(self, spec: RunSpec) -> ProcessIdentity:
        """Launch it and return its agent's process."""
        started = await self.launch(spec)
        files = self.files(spec)
        said = (
            {one.name: one.read_text(errors="replace") for one in files.path.iterdir()} if files.path.is_dir() else {}
        )
        assert started.identity is not None, f"{started}\n{said}"
        return started.identity

    def files(self, spec: RunSpec) -> RunDirectory:
        """Its run directory."""
        return RunDirectory(self.home, spec.runner_id)

    async def exit(self, spec: RunSpec) -> ExitRecord:
        """How it ended, when it has."""
        files = self.files(spec)
        await until(files.exit, what=f"the exit of {spec.argv}")
        record = files.exit()
        assert record is not None
        return record

    async def result(self, spec: RunSpec, name: str = "result.json") -> object:
        """What it wrote into a file of its directory, when it has."""
        path = self.work / name
        await until(path.exists, what=f"{name} of {spec.argv}")
        return json.loads(path.read_text())

    async def shows(self, spec: RunSpec, text: str) -> None:
        """Wait until the log has the text."""
        log = self.files(spec).log
        await until(lambda: log.exists() and text in log.read_bytes().decode(errors="replace"), what=f"{text!r}")

    async def server(self) -> int:
        """The pid of the tmux server."""
        return int((await self.tmux._ask(self.project_id, "display-message", "-p", "#{pid}") or "0").strip())

    async def gone(self, *identities: ProcessIdentity | None) -> None:
        """Fail unless all these are dead soon."""
        for identity in identities:
            assert identity is None or await wait_dead(identity, PATIENCE_SECONDS)


def pids_in(directory: Path, count: int = 1) -> Callable[[], bool]:
    """A condition: so many processes wrote their pid into ``directory/pids``."""
    path = directory / "pids"
    return lambda: path.exists() and len(path.read_text().split()) >= count
