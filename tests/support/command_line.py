"""``stratavore`` as a person or a script runs it, in a process of its own; with more patience, unless as installed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

PROGRAM = Path(sys.executable).with_name("stratavore")
PATIENT = (sys.executable, "-P", str(Path(__file__).with_name("patient.py")))
SECONDS = 180.0
"""No command takes so long; one that does is at fault."""


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands in an environment and a directory, away from any terminal."""

    def __init__(self, environment: Mapping[str, str], directory: Path, *, program: tuple[str, ...] = PATIENT) -> None:
        self.environment = dict(environment)
        self.directory = directory
        self._program = program

    def with_settings(self, **settings: str) -> "CommandLine":
        """The same, with other environment variables."""
        return CommandLine(self.environment | settings, self.directory, program=self._program)

    def behind(self, *words: str) -> "CommandLine":
        """The same, run by another program: ``words`` come before it."""
        return CommandLine(self.environment, self.directory, program=(*words, *self._program))

    def as_installed(self) -> "CommandLine":
        """The same, by the installed program: a daemon that says nothing for 5 s counts as away."""
        return CommandLine(self.environment, self.directory, program=(str(PROGRAM),))

    def start(self, *words: str, out: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        """Start a command and do not wait; ``out`` is where its output goes."""
        return subprocess.Popen(
            [*self._program, *words],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    async def __call__(self, *words: str, given: str = "") -> Result:
        """Run a command to its end; ``given`` is its standard input."""
        process = self.start(*words)
        try:
            out, err = await asyncio.to_thread(process.communicate, given, SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"stratavore {' '.join(words)} did not end:\n{out}\n{err}") from None
        assert "Traceback" not in err, err
        return Result(process.returncode, out, err)

    async def done(self, *words: str, given: str = "") -> str:
        """What a command that succeeds writes."""
        result = await self(*words, given=given)
        assert result.code == 0, (words, result)
        return result.out

    async def json(self, *words: str) -> Any:
        """What a command that succeeds writes as JSON."""
        return json.loads(await self.done(*words, "--format", "json"))

    async def refused(self, code: int, *words: str) -> str:
        """What a command says that fails with this exit code: one sentence on standard error, and nothing else."""
        result = await self(*words)
        assert (result.code, result.out) == (code, ""), result
        assert result.err.startswith("Error: "), result.err
        assert result.err.count("\n") == 1, result.err
        return result.err.removeprefix("Error: ").rstrip("\n")
