"""What an agent showed last, fit to be stored, sent as an event and shown in a list."""

import re
from collections.abc import Iterable, Mapping

from stratavore.runtime.logs import last_lines

LONGEST_LINE = 200
_SHORTEST_SECRET = 8
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_FRAME = "│|"
_MASKED = "\0"


def last_words(text: str, environment: Mapping[str, str]) -> str:
    """The last lines that are not empty: shortened, without control characters, and without the session's secrets.

    Args:
        text: a screen, or the end of a log.
        environment: of the session; values of variables that are named like secrets are left out of the text.
    """
    said = _without(_secrets(environment), _plain(text))
    return "\n".join(map(_cut, last_lines(said).splitlines()))


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """The longest first: it may hold another one."""
    found = {_solid(_plain(value)) for name, value in environment.items() if _SECRET.search(name)}
    return sorted((one for one in found if len(one) >= _SHORTEST_SECRET), key=len, reverse=True)


def _without(secrets: Iterable[str], text: str) -> str:
    """The text without them. Terminals break a long word into lines, and programs draw frames around theirs."""
    places = [place for place, c in enumerate(text) if _is_solid(c)]
    solid = _solid(text)
    spans = []
    for secret in secrets:
        while (start := solid.find(secret)) >= 0:
            end = start + len(secret)
            spans.append((places[start], places[end - 1] + 1))
            solid = solid[:start] + _MASKED * len(secret) + solid[end:]
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + "****" + text[end:]
    return text


def _solid(text: str) -> str:
    """The text without spaces, ends of lines and frames."""
    return "".join(filter(_is_solid, text))


def _is_solid(character: str) -> bool:
    return not character.isspace() and character not in _FRAME


def _plain(text: str) -> str:
    lines = text.replace("\t", "    ").splitlines()
    return "\n".join("".join(c for c in line if c.isprintable()) for line in lines)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
