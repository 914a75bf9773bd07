"""Which names a project may have. Imports the standard library only: every command pays for it."""

import re

from stratavore.errors import InvalidName

LONGEST = 64

ALL = "all"
"""As a target: every live session."""
GLOBAL = "global"
"""As a scope: no project's own."""
HELP = "help"
"""As a command: what the command after it takes."""

RESERVED = frozenset(
    [
        *("new", "open", "launch", "attach", "send", "pause", "resume", "restart", "move", "kill"),
        *("budget", "approve", "deny"),
        *("status", "tokens", "resources", "version"),
        *("projects", "sessions", "runners", "hosts", "logs", "transcript", "search", "events", "quotas", "daemon"),
        *("config", "setup", "test", "health", "reconcile", "backup", "restore", "completion", "schedule"),
        *(ALL, GLOBAL, HELP),
    ]
)
"""``stratavore NAME`` opens a project, so none is called like a command (a test compares)."""

_ALLOWED = re.compile(r"[A-Za-z0-9._-]+")


def check_project_name(name: str) -> None:
    """Accept a project's name, or say what is wrong with it.

    Raises:
        InvalidName: it is reserved, or not made of the characters that fit everywhere a name travels.
    """
    reason = _fault(name)
    if reason:
        raise InvalidName(name=name, reason=reason)


def _fault(name: str) -> str | None:
    if not name:
        return "it is empty"
    if name in RESERVED:
        return "that word has a meaning for stratavore itself"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters"
    if not _ALLOWED.fullmatch(name):
        return f"it holds {_ALLOWED.sub('', name)[0]!r}"
    if not name[0].isalnum():
        return f"it begins with '{name[0]}'"
    return None
