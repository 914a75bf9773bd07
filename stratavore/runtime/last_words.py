"""What an agent showed last, fit to be stored, sent as an event and shown in a list."""

import re
from collections.abc import Iterable, Mapping

from stratavore.runtime.logs import last_lines

LONGEST_LINE = 200
_SHORTEST_SECRET = 8
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)


def last_words(text: str, environment: Mapping[str, str]) -> str:
    """The last lines that are not empty: shortened, without control characters, and without the session's secrets.

    Args:
        text: a screen, or the end of a log.
        environment: of the session; values of variables that are named like secrets are left out of the text.
    """
    secrets = sorted(_secrets(environment), key=len, reverse=True)
    return "\n".join(_cut(_without(secrets, _plain(line))) for line in last_lines(_without(secrets, text)).splitlines())


def _secrets(environment: Mapping[str, str]) -> set[str]:
    return {
        value for name, value in environment.items() if _SECRET.search(name) and len(value.strip()) >= _SHORTEST_SECRET
    }


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "****")
    return text


def _plain(line: str) -> str:
    return "".join(c for c in line.replace("\t", "    ") if c.isprintable())


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
