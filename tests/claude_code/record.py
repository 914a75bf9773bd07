"""``python -m tests.claude_code.record [SITUATION...]``: record what the pinned Claude Code does, for the corpus.

Each situation is played with the real program in a real terminal, started as the product starts it. What came of it
is written to ``corpus/<version>/<situation>``; see ``corpus.py`` for the files. All situations take a few minutes.
"""

import asyncio
import json
import platform
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from setup import claude_code
from stratavore.runtime.rundir import RunDirectory
from tests.claude_code.corpus import CORPUS
from tests.claude_code.messages_api import serve
from tests.claude_code.situations import SITUATIONS
from tests.claude_code.situations.situation import Situation
from tests.claude_code.stage import Stage, staged

STAYS_SECONDS = 3.0
"""What a situation has come to is watched for so long."""
KEPT_CHARACTERS = 120
KEPT_ITEMS = 5
"""Of what the program itself brings along (its instructions to the model); what was said stays whole."""


async def record(situation: Situation, place: Path) -> None:
    """Play a situation in a directory of its own, and keep what came of it in ``place``."""
    directory = Path(mkdtemp(prefix="sv-", dir="/tmp"))
    try:
        async with serve(situation.script) as api:
            stage = Stage(directory, api, trusted=situation.trusted, subscribed=situation.subscribed)
            async with staged(stage):
                await situation.steps(stage)
                await asyncio.sleep(STAYS_SECONDS)
            shutil.rmtree(place, ignore_errors=True)
            _keep(stage, place)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _keep(stage: Stage, place: Path) -> None:
    neutral = _Neutral(stage)
    (place / "transcripts").mkdir(parents=True)
    for generation in range(1, stage.generation + 1):
        hooks = RunDirectory(stage.home, f"{stage.session_id}.{generation}").hooks
        if hooks.exists():
            with (place / "hooks").open("a") as file:
                file.write(neutral(hooks.read_text()))
    for path in stage.user.transcripts.rglob("*.jsonl"):
        # Below the directory of the site: the conversation, and those of its agents in a directory of its name.
        to = place / "transcripts" / Path(*path.relative_to(stage.user.transcripts).parts[1:])
        to.parent.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps(_shortened(json.loads(line)), ensure_ascii=False) for line in path.read_text().splitlines()]
        to.write_text(neutral("".join(f"{row}\n" for row in rows)))
    _lines(place / "screens.jsonl", [asdict(one) for one in stage.seen], neutral)
    _lines(place / "truth.jsonl", [asdict(one) for one in stage.truths], neutral)
    (place / "api.json").write_text(neutral(json.dumps(stage.api.ledger(), indent=1)) + "\n")


def _lines(path: Path, values: list[dict[str, Any]], neutral: "_Neutral") -> None:
    path.write_text("".join(neutral(json.dumps(value, ensure_ascii=False)) + "\n" for value in values))


class _Neutral:
    """Replaces the paths of this machine. Screens keep their width: what stood behind a path moves."""

    def __init__(self, stage: Stage) -> None:
        home = stage.home
        self._names = [
            (str(stage.site), "/work/site"),
            (str(stage.user.root), "/home/user"),
            (str(home.root), "/home/user/.local/state/stratavore"),
            (str(stage.site).replace("/", "-"), "-work-site"),
            (platform.release(), "6.0"),
            (str(claude_code.program().parent), "/opt/claude"),
            (stage.api.url.removeprefix("http://"), "127.0.0.1:8080"),
        ]

    def __call__(self, text: str) -> str:
        for found, neutral in self._names:
            text = text.replace(found, neutral)
        return text


def _shortened(row: dict[str, Any]) -> dict[str, Any]:
    if row["type"] in {"user", "assistant", "system", "summary"}:
        return row
    return {name: _cut(value) for name, value in row.items()}


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > KEPT_CHARACTERS:
        return value[:KEPT_CHARACTERS] + "…"
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value[:KEPT_ITEMS]]
    return value


def main(names: list[str]) -> None:
    """Record the situations of these names; all if none is named."""
    unknown = set(names) - set(SITUATIONS)
    if unknown:
        sys.exit(f"There is no situation {', '.join(sorted(unknown))}; there is: {', '.join(SITUATIONS)}")
    claude_code.provide()
    for name in names or SITUATIONS:
        asyncio.run(record(SITUATIONS[name](), CORPUS / claude_code.version() / name))
        print(f"recorded {name}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
