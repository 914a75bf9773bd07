"""What was recorded of the real program, as tests read it.

``corpus/<version>/<situation>/`` holds

``hooks``          what the product's hooks wrote, a line each: Unix time and JSON, which may be cut off
``transcripts/``   the conversations, and those of agents in ``<session>/subagents/``; long instructions are cut
``screens.jsonl``  ``{at, text}``: the whole screen from that time on
``truth.jsonl``    ``{at, activity, question}``: what the program really did from that time on; no activity: it is dead
``api.json``       what the API was asked and sent: times, message ids, models, usage, whether it was sent to its end

Times are Unix times. Paths are neutral: the home is /home/user, the directory of the project /work/site.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratavore.models.states import Activity

CORPUS = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Seen:
    """The screen from one moment on."""

    at: float
    text: str


@dataclass(frozen=True)
class Truth:
    """What the program was really doing from one moment on."""

    at: float
    activity: Activity | None
    """None: there is no process."""
    question: str | None = None
    """What it asks, or of what it asks whether it may do it."""


@dataclass(frozen=True)
class Recorded:
    """One situation of one version."""

    version: str
    situation: str
    path: Path

    @property
    def hooks(self) -> list[tuple[float, bytes]]:
        """The lines of the hooks with their times."""
        file = self.path / "hooks"
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [(float(line.partition(b" ")[0]), line) for line in lines]

    @property
    def transcripts(self) -> list[Path]:
        """The files of the conversations, those of agents too."""
        return sorted((self.path / "transcripts").rglob("*.jsonl"))

    @property
    def screens(self) -> list[Seen]:
        """The screens in order."""
        return [Seen(**one) for one in _json_lines(self.path / "screens.jsonl")]

    @property
    def truths(self) -> list[Truth]:
        """The activities in order."""
        found = [
            Truth(one["at"], Activity(one["activity"]) if one["activity"] else None, one["question"])
            for one in _json_lines(self.path / "truth.jsonl")
        ]
        return sorted(found, key=lambda truth: truth.at)

    @property
    def api(self) -> list[dict[str, Any]]:
        """What the API was asked and sent, in order."""
        found: list[dict[str, Any]] = json.loads((self.path / "api.json").read_bytes())
        return found


def versions() -> list[str]:
    """The versions that were recorded."""
    return sorted(path.name for path in CORPUS.iterdir() if path.is_dir())


def recorded() -> list[Recorded]:
    """All that was recorded."""
    return [
        Recorded(version, path.name, path)
        for version in versions()
        for path in sorted((CORPUS / version).iterdir())
        if path.is_dir()
    ]


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
