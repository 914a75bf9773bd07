"""The files of one runner: what must outlive every process, and what its wrapper says of it.

``launch`` is a shell script of quoted words (environment, directory, program), read by ``wrapper.sh``; no
shell ever parses what a person typed, and no value shows in a process list. Nothing is synchronised to the
disk: a runner never outlives the machine's run, and the next one is given what it needs anew.

A file that is not there says something: its writer has not come so far. One that cannot be read now (a disk that fails,
no descriptor left) says nothing, and is an ``OSError``: whoever wants to know asks again.
"""

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from stratavore import fencing
from stratavore.errors import InvalidInput
from stratavore.fencing import HeldLease
from stratavore.naming import session_of
from stratavore.paths import Home, private_directory
from stratavore.runtime.processes import (
    HOME_MARKER,
    RUNNER_MARKER,
    SESSION_MARKER,
    TICKS,
    ProcessIdentity,
    parse_identity,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Of the terminal that the launch was typed in, not of the one the agent gets.
_OF_THE_OLD_TERMINAL = re.compile(
    r"TERM|TERMCAP|COLUMNS|LINES|TMUX|TMUX_.*|STY|WINDOW|WINDOWID|TERM_.*|VTE_VERSION|LC_TERMINAL.*"
    r"|(ITERM|KITTY|WEZTERM|ALACRITTY|KONSOLE|GHOSTTY|WT|VSCODE)_.*"
)
# A shell's own: setting them changes or stops the shell that reads the file.
_OF_THE_SHELL = re.compile(
    r"_|PWD|OLDPWD|SHLVL|PPID|UID|EUID|OPTIND|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|BASH_VERSINFO|BASHPID"
)

_ABSENT = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True)
class RunSpec:
    """What runs in a runner, and where."""

    runner_id: str
    session_id: str
    project_id: str
    project: str
    agent: str
    generation: int
    argv: tuple[str, ...]
    cwd: str
    cols: int = 200
    rows: int = 50
    stdin: str | None = None
    """A file of the run directory that the agent reads instead of its terminal; it writes to ``output`` then."""


@dataclass(frozen=True)
class ExitRecord:
    """How an agent ended.

    ``signals``: those that its wrapper saw. ``refused``: it was never executed. ``asked``: we had asked it to
    end. ``fenced``: the seconds for which its host could not renew the lease that it was to end with.
    """

    code: int
    signals: tuple[str, ...]
    at: datetime
    refused: bool = False
    asked: bool = False
    fenced: str | None = None


class RunDirectory:
    """The directory of one runner, mode 0700."""

    def __init__(self, home: Home, runner_id: str) -> None:
        self.path = home.run_directory(runner_id)
        self.runner_id = runner_id
        self._home = home

    @property
    def log(self) -> Path:
        """Everything that the agent wrote to its terminal."""
        return self.path / "log"

    @property
    def hooks(self) -> Path:
        """What the agent's hooks said, a line each: the time, and what they were given."""
        return self.path / "hooks"

    @property
    def output(self) -> Path:
        """What an agent without a terminal answered."""
        return self.path / "output"

    @property
    def screen(self) -> Path:
        """The last screen, saved when the runner had ended."""
        return self.path / "screen"

    @property
    def started(self) -> bool:
        """Whether the wrapper began, or was forbidden to; it never begins again."""
        return self._has("started")

    @property
    def stop_asked(self) -> bool:
        """Whether we asked the runner to end, so that a SIGTERM was ours."""
        return self._has("stop-asked")

    def prepare(
        self, spec: RunSpec, environment: Mapping[str, str], files: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Write what the wrapper and the agent read. Doing it again is harmless.

        Raises:
            InvalidInput: no program can be executed with these words.
        """
        script = _launch_script(spec, environment, self._home)
        private_directory(self.path)
        for name, content in files.items():
            self._write(name, content)
        self._write("spec.json", json.dumps(asdict(spec)).encode())
        self._write("launch", script)

    def spec(self) -> RunSpec | None:
        """What was prepared; ``None`` if nothing was, or it is not understood."""
        text = self._text("spec.json")
        try:
            found = json.loads(text or "")
            return RunSpec(**{**found, "argv": tuple(found["argv"])})
        except (ValueError, KeyError, TypeError):
            return None

    def wrapper(self) -> ProcessIdentity | None:
        """The shell that runs the agent."""
        return self._identity("started")

    def agent(self) -> ProcessIdentity | None:
        """The agent's own process."""
        return self._identity("pid")

    def exit(self) -> ExitRecord | None:
        """How the agent ended; ``None``: the wrapper did not say (yet)."""
        try:
            with (self.path / "exit").open() as file:
                code, *signals = file.readline().split()
                at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            refused, fenced = self._has("refused"), self.fenced()
            return ExitRecord(int(code), tuple(dict.fromkeys(signals)), at, refused, self.stop_asked, fenced)
        except (*_ABSENT, ValueError):
            return None

    def term(self) -> HeldLease | None:
        """The lease of its host that it was launched under and ends with; ``None``: it goes on without one."""
        return fencing.read(self.path / "term")

    def fenced(self) -> str | None:
        """For how many seconds its host could not renew its lease, if it was ended for that."""
        text = self._text("fenced")
        return None if text is None else text.strip()

    def note_fenced(self, seconds: float) -> None:
        """Note why it is ended."""
        self._write("fenced", f"{seconds:g}\n".encode())

    def ended_ticks(self) -> int | None:
        """When the wrapper wrote how the agent ended, in ticks since the machine's start; ``None``: it did not."""
        try:
            return int(float((self._text("exit") or "").splitlines()[1]) * TICKS)
        except (ValueError, IndexError):
            return None

    def descendants(self) -> list[ProcessIdentity]:
        """Processes that were seen to descend from the agent, and lived at the last look."""
        lines = (self._text("descendants") or "").splitlines()
        try:
            return [ProcessIdentity(int(pid), int(ticks), boot) for boot, pid, ticks in map(str.split, lines)]
        except ValueError:
            return []

    def keep_descendants(self, seen: Iterable[ProcessIdentity]) -> None:
        """Keep them for the runner's end, when nobody can tell any more whose they were."""
        lines = (f"{one.boot_id} {one.pid} {one.start_ticks}\n" for one in seen)
        self._write("descendants", "".join(lines).encode())

    def ask_stop(self) -> None:
        """Note that the runner is to end; if it has not begun, it never will.

        Not even if nothing was laid out for it: a launch that froze before it came to that may go on afterwards.

        Raises:
            OSError: there is no room for the note.
        """
        if not self._has("."):
            private_directory(self.path)
        self.forbid()
        (self.path / "stop-asked").touch()

    def forbid(self) -> None:
        """Let a runner that has not begun never begin: only who makes this file starts the agent."""
        (self.path / "started").touch()

    def save_screen(self, text: str) -> None:
        """Keep the last screen."""
        self._write("screen", text.encode("utf-8", "surrogateescape"))

    def saved_screen(self) -> str:
        """The last screen; empty if none was kept."""
        try:
            return self.screen.read_text(errors="replace")
        except OSError:
            return ""

    def _identity(self, name: str) -> ProcessIdentity | None:
        text = self._text(name)
        # Without its end the line may be half of one.
        return parse_identity(text) if text and text.endswith("\n") else None

    def _has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            os.stat(self.path / name)  # noqa: PTH116 - `Path.exists` of later Pythons takes every error for absence
        except _ABSENT:
            return False
        return True

    def _text(self, name: str) -> str | None:
        """A file's text; ``None``: it is not there."""
        try:
            return (self.path / name).read_text(errors="replace")
        except _ABSENT:
            return None

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all, and for no one else to read."""
        temporary = self.path / f".{name}.{uuid4().hex}"  # a try that took too long may still be at it
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(self.path / name)


def of_session(home: Home, session_id: str) -> list[RunDirectory]:
    """Those of a session's runners on this host."""
    names = os.listdir(home.runners)  # noqa: PTH208 - there may be thousands, of which one or two are meant
    return [
        RunDirectory(home, name)
        for name in names
        if session_of(name) == session_id and name.rpartition(".")[2].isdigit()
    ]


def _launch_script(spec: RunSpec, environment: Mapping[str, str], home: Home) -> bytes:
    if not spec.argv or not spec.argv[0] or spec.argv[0].startswith("-"):
        raise InvalidInput(reason="the program to run has no name, or one that begins with '-'")
    if not os.path.isabs(spec.cwd):  # noqa: PTH117
        raise InvalidInput(reason=f"the directory {spec.cwd} is not a whole path")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in _cleaned(environment).items()]
    markers = {
        SESSION_MARKER: spec.session_id,
        RUNNER_MARKER: spec.runner_id,
        "STRATAVORE_PROJECT": spec.project,
        HOME_MARKER: str(home.root),
    }
    lines += [f"export {name}={shlex.quote(value)}" for name, value in markers.items()]
    # The agent must not find our terminal server by its environment: its own tmux commands are not for it.
    lines.append("unset TMUX TMUX_PANE")
    lines.append(f"cd {shlex.quote(spec.cwd)} || exit 126")
    files = f' <"$0/{spec.stdin}" >>"$0/output"' if spec.stdin else ""  # $0: the run directory, see wrapper.sh
    lines.append("exec " + shlex.join(spec.argv) + files)
    script = os.fsencode("\n".join(lines) + "\n")
    if b"\0" in script:
        raise InvalidInput(reason="a program's words and environment cannot hold a NUL character")
    return script


def _cleaned(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environment.items()
        if _NAME.fullmatch(name) and not _OF_THE_SHELL.fullmatch(name) and not _OF_THE_OLD_TERMINAL.fullmatch(name)
    }
    return kept | {"COLORTERM": "truecolor"}
