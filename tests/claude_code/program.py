"""The real Claude Code, in a home of its own, against a Messages API on the loopback."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from setup.claude_code import program

KEY = "no-key-but-enough-characters-for-one"
TOKEN = "no-token-but-enough-characters-for-one"
_KNOWN_BY = 20
"""Last characters of a key by which the program knows one that it was allowed to use."""


@dataclass(frozen=True)
class PrivateHome:
    """A home directory in which the program starts without a question."""

    root: Path

    def create(self, *trusted: Path) -> None:
        """Make it; in the ``trusted`` directories the program may work, in others it asks first."""
        (self.root / "tmp").mkdir(parents=True, exist_ok=True)
        known = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [KEY[-_KNOWN_BY:]], "rejected": []},
            "projects": {str(path): {"hasTrustDialogAccepted": True} for path in trusted},
        }
        (self.root / ".claude.json").write_text(json.dumps(known))

    @property
    def transcripts(self) -> Path:
        """Where the program keeps conversations, a directory for each directory that it worked in."""
        return self.root / ".claude" / "projects"

    def environment(self, url: str, *, subscribed: bool = False) -> dict[str, str]:
        """All that the program is given: nothing of ours but the way to programs, and no way out of the machine.

        Args:
            url: of the Messages API.
            subscribed: with a subscription instead of a key.
        """
        account = {"CLAUDE_CODE_OAUTH_TOKEN": TOKEN} if subscribed else {"ANTHROPIC_API_KEY": KEY}
        return account | {
            "PATH": f"{program().parent}:{os.environ['PATH']}",
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "CLAUDE_CODE_TMPDIR": str(self.root / "tmp"),
            "ANTHROPIC_BASE_URL": url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
        }


def headless(prompt: str, *words: str) -> Sequence[str]:
    """The words that ask for one answer without a terminal, as lines of JSON."""
    return [str(program()), "-p", prompt, "--output-format", "stream-json", "--verbose", *words]
