"""Values of settings as they may be shown: without passwords and keys."""

import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr

HIDDEN = "****"
_BETWEEN_URLS = re.compile(r"[\s,]+(?=[a-z]+://)")
_PASSWORDS = re.compile(r"(?i)((?:^|[?&;])[a-z]*password=)[^&;]*")


def shown(value: Any) -> Any:
    """A value as JSON has it. Of a secret URL all is shown but its passwords; of any other secret nothing."""
    if isinstance(value, SecretStr):
        return ",".join(_url(one) for one in _BETWEEN_URLS.split(value.get_secret_value().strip()))
    return str(value) if isinstance(value, Path) else value


def _url(text: str) -> str:
    scheme, between, rest = _PASSWORDS.sub(rf"\g<1>{HIDDEN}", text).partition("://")
    if not between:
        return HIDDEN
    # The last @ counts: a password that should have been quoted may hold any other.
    user, at, place = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}://{name}{colon and ':' + HIDDEN}{at}{place}"
