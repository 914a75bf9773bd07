"""Whose plan a Claude Code spends, told apart without naming a secret."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from stratavore.agents.adapter import Account

PROVIDER = "anthropic"
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_DIGITS = 12
"""Of a digest: enough to tell accounts apart, and far too few to try keys by."""


def account_of(environment: Mapping[str, str]) -> Account:
    """By the key that it is given and whom it talks to; else by its login; else by where it keeps that."""
    where = environment.get("ANTHROPIC_BASE_URL", "")
    for name in KEYS:
        if key := environment.get(name):
            return Account(PROVIDER, f"the key {_digest(where, key)}")
    home = Path(environment.get("HOME") or "/")
    configuration = environment.get("CLAUDE_CONFIG_DIR")
    file = Path(configuration) / ".claude.json" if configuration else home / ".claude.json"
    if login := _login(file):
        return Account(PROVIDER, f"the login {_digest(where, login)}")
    return Account(PROVIDER, f"the login of {file.parent}")


def _login(file: Path) -> str | None:
    """The id of the account that is logged in."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        id_ = found["oauthAccount"]["accountUuid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return id_ if isinstance(id_, str) and id_ else None


def _digest(where: str, secret: str) -> str:
    return sha256(f"{where}\0{secret}".encode()).hexdigest()[:_DIGITS]
