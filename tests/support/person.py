"""A person at a terminal: a shell in a tmux of the test's own, typed into and read from."""

import shlex
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.command_line import PROGRAM
from tests.support.waiting import until

COLUMNS, LINES = 100, 30
PROMPT = "ready$"


class Person:
    """Types into a terminal, and reads what it shows."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    @classmethod
    @asynccontextmanager
    async def sitting(cls, environment: Mapping[str, str], directory: Path) -> "AsyncIterator[Person]":
        """A person with a shell in a directory; it and what it runs end afterwards."""
        person = cls(directory / "person.sock")
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        person._tmux("new-session", "-d", *size, "-c", str(directory), "sh", environment=environment)
        try:
            person.types(f"PS1='{PROMPT} '")
            await person.is_back()
            yield person
        finally:
            person._tmux("kill-server")

    def stratavore(self, *words: str) -> None:
        """Type a command and Enter."""
        self.types(shlex.join([str(PROGRAM), *words]))

    def types(self, text: str) -> None:
        """Type text and Enter."""
        self._tmux("send-keys", "-l", text)
        self.presses("Enter")

    def presses(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        self._tmux("send-keys", *keys)

    @property
    def screen(self) -> str:
        """What the terminal shows; lines that were too long for it are whole."""
        return self._tmux("capture-pane", "-p", "-J")

    @property
    def at_prompt(self) -> bool:
        """Whether the shell waits for a command."""
        return self.screen.rstrip().endswith(PROMPT)

    async def sees(self, text: str) -> None:
        """Wait until it is on the screen."""
        await self._waits(lambda: text in self.screen, f"{text!r} on the screen")

    async def is_back(self) -> None:
        """Wait for the shell's prompt."""
        await self._waits(lambda: self.at_prompt, "the prompt")

    async def _waits(self, condition: Callable[[], bool], what: str) -> None:
        try:
            await until(condition, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.screen}") from None

    def _tmux(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        env = None if environment is None else dict(environment)
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=30).stdout
