"""The words and settings that Claude Code is started and resumed with."""

import json
import shlex
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from stratavore.agents.adapter import Plan, Start
from stratavore.errors import InvalidInput
from stratavore.models.session import LaunchSpec

PROGRAM = "claude"
LOGINS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
LOGIN_FILE = ".credentials.json"
"""Written by its login, where the system has no keychain. It is never read here."""
SETTINGS = "settings.json"
HOOK = "hook.sh"
PROMPT = "prompt"
HOOK_SECONDS = 60
"""That a hook may take. It appends a line; on a machine short of everything one that is given up is a turn whose end is
never heard."""
PERMISSION_MODES = ("default", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions")

_KEPT_DAYS = 36500
"""Claude Code deletes conversations that were not touched for so long; its own default is 30."""

_BYTES = {
    "SessionStart": 8192,
    "SessionEnd": 8192,
    "UserPromptSubmit": 1 << 20,
    "Stop": 1 << 20,
    "StopFailure": 65536,
    "Notification": 8192,
    "PermissionRequest": 65536,
    "PreToolUse": 2048,
    "PostToolUse": 2048,
    "PostToolUseFailure": 2048,
    "SubagentStart": 2048,
    "SubagentStop": 2048,
    "PreCompact": 2048,
    "PostCompact": 2048,
}
"""Hooks, and how much is kept of what each is given."""

_OURS = {
    "--session-id": "the session has its id",
    "--resume": "a session of Stratavore is resumed with: stratavore resume",
    "-r": "a session of Stratavore is resumed with: stratavore resume",
    "--continue": "a session of Stratavore is resumed with: stratavore resume",
    "-c": "a session of Stratavore is resumed with: stratavore resume",
    "--print": "an answer without a terminal is asked for with: stratavore launch PROJECT --print TEXT",
    "-p": "an answer without a terminal is asked for with: stratavore launch PROJECT --print TEXT",
    "--model": "name it with: stratavore launch --model",
    "--permission-mode": "name it with: stratavore launch --permission-mode",
}

_TAKE_NONE = frozenset(
    [
        "--allow-dangerously-skip-permissions",
        "--ax-screen-reader",
        "--bare",
        "--brief",
        "--chrome",
        "--dangerously-skip-permissions",
        "--disable-slash-commands",
        "--ide",
        "--no-chrome",
        "--restricted",
        "--safe-mode",
        "--strict-mcp-config",
        "--verbose",
    ]
)
_TAKE_ONE = frozenset(
    [
        "--agent",
        "--agents",
        "--append-system-prompt",
        "--autocompact",
        "--debug-file",
        "--effort",
        "--fallback-model",
        "--max-budget-usd",
        "--name",
        "-n",
        "--plugin-dir",
        "--plugin-url",
        "--setting-sources",
        "--settings",
        "--system-prompt",
    ]
)
"""Options by the words after them that are theirs. Any other one may take as many as there are."""
_SHOWN = 40
"""Characters of a word, where it is told."""


def check_words(argv: Sequence[str], cwd: str) -> None:
    """Refuse further words that Stratavore gives itself, settings that cannot be given along with its own, and prompts.

    Raises:
        InvalidInput: names the word, and what to do instead.
    """
    for word in argv:
        name = word.partition("=")[0]
        if name in _OURS:
            raise InvalidInput(reason=f"'{name}' cannot be given to Claude Code here: {_OURS[name]}")
    if (prompt := _prompt_in(argv)) is not None:
        raise InvalidInput(
            reason=f"Claude Code would take '{prompt[:_SHOWN]}' for a prompt, and be told it again at each recovery: "
            "tell it once with: stratavore launch PROJECT --prompt TEXT"
        )
    _read(_without_settings(argv)[1], cwd)


def plan(spec: LaunchSpec, start: Start) -> Plan:
    """How a conversation is begun, or gone on with: everything is given each time, since it keeps none of it.

    Raises:
        InvalidInput: the person's own settings cannot be read.
    """
    words, own = _without_settings(spec.argv)
    argv = [PROGRAM]
    # These take all words up to the next option: none of the person's own may come after them.
    for directory in spec.directories:
        argv += ["--add-dir", directory]
    if spec.mcp_config:
        argv += ["--mcp-config", *spec.mcp_config]
    argv += ["--settings", str(start.directory / SETTINGS)]
    argv += ["--resume" if start.resume else "--session-id", start.agent_session_id]
    if spec.model:
        argv += ["--model", spec.model]
    if spec.permission_mode:
        argv += ["--permission-mode", spec.permission_mode]
    files = {
        SETTINGS: json.dumps(settings(start.directory, _read(own, spec.cwd))).encode(),
        HOOK: Path(__file__).with_name(HOOK).read_bytes(),
    }
    environment = {"CLAUDE_CODE_RESUME_INTERRUPTED_TURN": "1"}
    if not spec.headless:
        return Plan((*argv, *words), environment, files)
    # The prompt is no word: everybody on the machine can read those.
    argv += ["--print", "--output-format", "stream-json", "--verbose"]
    if start.resume:
        # Only as a stream it takes an empty input, and goes on with the turn that was interrupted, if one was.
        argv += ["--input-format", "stream-json"]
    files[PROMPT] = b"" if start.resume else (spec.prompt or "").encode()
    return Plan((*argv, *words), environment, files, stdin=PROMPT)


def settings(directory: Path, own: dict[str, Any]) -> dict[str, Any]:
    """Ours, merged into those that the person gave: their hooks run as well."""
    hooks: dict[str, list[Any]] = {name: list(entries) for name, entries in own.get("hooks", {}).items()}
    for event, kept in _BYTES.items():
        command = shlex.join(["/bin/sh", str(directory / HOOK), str(kept)])
        hooks.setdefault(event, []).append(
            {"hooks": [{"type": "command", "command": command, "timeout": HOOK_SECONDS}]}
        )
    return {"cleanupPeriodDays": _KEPT_DAYS, **own, "hooks": hooks}


def _prompt_in(argv: Sequence[str]) -> str | None:
    """A word that no option before it can take: it is told as a prompt, each time that the agent is started."""
    left = 0.0
    """Words that are the last option's."""
    for place, word in enumerate(argv):
        if word == "--":
            return next(iter(argv[place + 1 :]), None)
        if word.startswith("-"):
            left = 0 if "=" in word or word in _TAKE_NONE else 1 if word in _TAKE_ONE else inf
        elif left < 1:
            return word
        else:
            left -= 1
    return None


def _without_settings(argv: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without ``--settings``, and what it named: Claude Code takes one only."""
    words, own = [], None
    rest = iter(argv)
    for word in rest:
        if word == "--settings":
            own = next(rest, None)
        elif word.startswith("--settings="):
            own = word.partition("=")[2]
        else:
            words.append(word)
    return words, own


def _read(own: str | None, cwd: str) -> dict[str, Any]:
    """The person's settings: JSON, or a file with it."""
    if not own:
        return {}
    try:
        text = own if own.lstrip().startswith("{") else (Path(cwd) / own).read_text()
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidInput(reason=f"The settings for Claude Code in {_named(own)} cannot be read: {error}") from error
    if not isinstance(found, dict) or not _are_hooks(found.get("hooks", {})):
        raise InvalidInput(
            reason=f"The settings for Claude Code in {_named(own)} are no object with settings, or their 'hooks' no "
            "lists by event"
        )
    return found


def _are_hooks(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(entries, list) for entries in value.values())


def _named(own: str) -> str:
    """Where the settings are; their text is not told, it may hold secrets."""
    return "'--settings'" if own.lstrip().startswith("{") else f"'{own}'"
