"""What the first session runs: Claude Code where it is logged in, else the sample program."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from stratavore.agents.sample import ARGV

_SECONDS = 20.0


@dataclass(frozen=True)
class First:
    """The first session: words for ``stratavore new``, what to say of it, and a text to try on it."""

    agent: str
    words: tuple[str, ...]
    said: str
    example: str

    def said_of(self, running: str) -> str:
        """What to say of a first session that runs already, perhaps from before somebody logged in."""
        return self.said if running == self.agent else _NOW_TOO

    def example_for(self, running: str) -> str:
        """A text to try on a first session that runs already."""
        return self.example if running == self.agent else _NOTE


_MAKE_ONE = "make a project in your own directory: stratavore new NAME --agent claude"
_NOTE = "buy milk"
_NOW_TOO = f"For Claude Code {_MAKE_ONE}"
_CLAUDE = First(
    "claude", ("--agent", "claude"), "It is Claude Code; it asks first whether it may work there.", "Tell me a story"
)


def choose(environment: Mapping[str, str]) -> First:
    """Ask Claude Code, if it is there, whether somebody is logged in."""
    program = shutil.which("claude", path=environment.get("PATH"))
    if program is None:
        missing = (
            "Claude Code is not installed (npm install -g @anthropic-ai/claude-code; then run claude once to log in)."
        )
        return _sample(missing)
    try:
        found = subprocess.run(
            [program, "auth", "status"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return _sample("Claude Code does not say whether it is logged in; try it with: claude auth status.")
    if found.returncode == 0:
        return _CLAUDE
    return _sample("Claude Code is not logged in: run 'claude auth login'.")


def _sample(reason: str) -> First:
    return First("command", ("--", *ARGV), f"It is a small sample program. {reason}\nThen {_MAKE_ONE}", _NOTE)
