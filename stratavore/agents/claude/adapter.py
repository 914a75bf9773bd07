"""Claude Code, as the rest of the system sees it."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stratavore.agents.adapter import Adapter, Follower, Plan, Start
from stratavore.agents.claude import launch
from stratavore.agents.claude.follower import ClaudeFollower
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec


class Claude(Adapter):
    """Anthropic's Claude Code, the program ``claude`` on the PATH of the session."""

    name = "claude"
    hooks = True

    def check(self, spec: LaunchSpec, environment: Mapping[str, str]) -> None:
        """It must be installed, and told nothing that Stratavore tells it itself."""
        launch.check_words(spec.argv)
        if spec.permission_mode is not None and spec.permission_mode not in launch.PERMISSION_MODES:
            known = ", ".join(launch.PERMISSION_MODES)
            raise InvalidInput(reason=f"There is no permission mode '{spec.permission_mode}'; there is: {known}")
        if spec.headless and not spec.prompt:
            raise InvalidInput(reason="Without a terminal Claude Code needs a prompt: give it with --print TEXT")
        if not shutil.which(launch.PROGRAM, path=environment.get("PATH")):
            raise InvalidInput(
                reason=f"Claude Code is not installed: there is no program '{launch.PROGRAM}' on your PATH. Install it "
                f"with 'npm install -g @anthropic-ai/claude-code', and run '{launch.PROGRAM}' once to log in"
            )

    def plan(self, spec: LaunchSpec, start: Start) -> Plan:
        """With the session's id and our hooks; the same again to resume."""
        return launch.plan(spec, start)

    def follow(self, state: Mapping[str, Any]) -> Follower:
        """By hooks, transcript and screen together."""
        return ClaudeFollower.of(state)

    def transcript_path(self, start: Start, cwd: str) -> Path | None:
        """``projects/<directory>/<session>.jsonl`` below its configuration; long names it cuts, and tells by a hook."""
        home = start.environment.get("HOME") or str(Path.home())
        configuration = Path(start.environment.get("CLAUDE_CONFIG_DIR") or Path(home) / ".claude")
        name = re.sub(r"[^A-Za-z0-9]", "-", cwd)
        return configuration / "projects" / name / f"{start.agent_session_id}.jsonl"

    def subagent_transcripts(self, transcript: Path) -> Path | None:
        """``<session>/subagents`` beside the conversation."""
        return transcript.with_suffix("") / "subagents"
