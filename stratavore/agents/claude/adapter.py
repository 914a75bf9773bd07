"""Claude Code, as the rest of the system sees it."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stratavore.agents.adapter import Account, Adapter, Answer, Box, Follower, Plan, Presence, Question, Start
from stratavore.agents.claude import launch
from stratavore.agents.claude.account import account_of
from stratavore.agents.claude.follower import ClaudeFollower
from stratavore.agents.claude.hooks import read_hook
from stratavore.agents.claude.output import read_output
from stratavore.agents.claude.questions import answer_to
from stratavore.agents.claude.screen import Shows, read_screen
from stratavore.agents.claude.transcript import read_entries, read_row
from stratavore.agents.conversation import Entry, Row
from stratavore.agents.output import Output
from stratavore.errors import AgentNotInstalled, InvalidInput
from stratavore.models.session import LaunchSpec


class Claude(Adapter):
    """Anthropic's Claude Code, the program ``claude`` on the PATH of the session."""

    name = "claude"
    hooks = True
    permission_modes = launch.PERMISSION_MODES
    output_is_json = True
    transcripts = True
    heavy = True

    def check(self, spec: LaunchSpec, environment: Mapping[str, str]) -> None:
        """It must be installed, and told nothing that Stratavore tells it itself."""
        launch.check_words(spec.argv, spec.cwd)
        if spec.permission_mode is not None and spec.permission_mode not in launch.PERMISSION_MODES:
            known = ", ".join(launch.PERMISSION_MODES)
            raise InvalidInput(reason=f"There is no permission mode '{spec.permission_mode}'; there is: {known}")
        if spec.headless and not spec.prompt:
            raise InvalidInput(reason="Without a terminal Claude Code needs a prompt: give it with --print TEXT")
        if not shutil.which(launch.PROGRAM, path=environment.get("PATH")):
            raise AgentNotInstalled(
                agent="Claude Code",
                program=launch.PROGRAM,
                hint="Install it with 'npm install -g @anthropic-ai/claude-code', "
                f"and run '{launch.PROGRAM}' once to log in",
            )

    def presence(self, environment: Mapping[str, str]) -> Presence:
        """On the PATH; and whether it was given something to log in with, as far as others can tell."""
        path = shutil.which(launch.PROGRAM, path=environment.get("PATH"))
        directory = environment.get("CLAUDE_CONFIG_DIR") or Path(environment.get("HOME", "/")) / ".claude"
        given = any(environment.get(name) for name in launch.LOGINS)
        return Presence(launch.PROGRAM, path, given or (Path(directory) / launch.LOGIN_FILE).exists() or None)

    def account(self, environment: Mapping[str, str]) -> Account:
        """By its key, or its login."""
        return account_of(environment)

    def plan(self, spec: LaunchSpec, start: Start) -> Plan:
        """With the session's id and our hooks; the same again to resume."""
        return launch.plan(spec, start)

    def follow(self, state: Mapping[str, Any]) -> Follower:
        """By hooks, transcript and screen together."""
        return ClaudeFollower.of(state)

    def box(self, screen: str) -> Box:
        """The prompt box, also while it works: what is typed then waits for its turn."""
        seen = read_screen(screen)
        if seen.shows is Shows.QUESTION:
            return Box(ready=False, question=seen.question)
        ready = seen.shows is not Shows.NOTHING
        return Box(ready, ("! " if seen.shell else "") + seen.typed)

    def keys_to_clear(self, box: Box) -> Sequence[str]:
        """Ctrl-U deletes a line, and once more its beginning; Backspace leaves the mode of shell commands."""
        if box.typed.strip() == "!":
            return ("BSpace",)  # Escape would interrupt its turn as well
        return ("C-u",) * (2 * len(box.typed.splitlines()))

    def answer(self, question: Question, answer: str) -> Answer | None:
        """By the option's number, its label or the beginning of it; other text where any is taken."""
        return answer_to(question, answer)

    def prompt_taken(self, hook: bytes) -> tuple[float, str] | None:
        """It says of each prompt that it took it."""
        read = read_hook(hook)
        if read is None or read.name != "UserPromptSubmit" or (prompt := read.text("prompt")) is None:
            return None
        return read.at, prompt

    def tells_when_taken(self, text: str) -> bool:
        """Of all but its own commands and those for the shell."""
        return not text.lstrip().startswith(("/", "!"))

    def transcript_path(self, start: Start, cwd: str) -> Path | None:
        """``projects/<directory>/<session>.jsonl`` below its configuration; long names it cuts, and tells by a hook."""
        home = start.environment.get("HOME") or str(Path.home())
        configuration = Path(start.environment.get("CLAUDE_CONFIG_DIR") or Path(home) / ".claude")
        name = re.sub(r"[^A-Za-z0-9]", "-", cwd)
        return configuration / "projects" / name / f"{start.agent_session_id}.jsonl"

    def read_output(self, line: bytes) -> Output:
        """A line of its output format ``stream-json``."""
        return read_output(line)

    def subagent_transcripts(self, transcript: Path) -> Path | None:
        """``<session>/subagents`` beside the conversation."""
        return transcript.with_suffix("") / "subagents"

    def read_row(self, line: bytes) -> Row:
        """Each row of a reply repeats what it used."""
        return read_row(line)

    def read_entries(self, line: bytes) -> Sequence[Entry]:
        """Words of people and of the model, and its tools."""
        return read_entries(line)
