"""The kill points that the source names."""

import re
from pathlib import Path

from tests.support.servers import REPOSITORY

_NAMED = re.compile(r'(?:\beffect|\.transaction)\(\s*"([a-z_.]+)"')
_PACKAGES = ("stratavore", "activities", "worker")


def named_effects() -> dict[str, list[Path]]:
    """Every effect by its name, with the files that name it."""
    found: dict[str, list[Path]] = {}
    for package in _PACKAGES:
        for file in (REPOSITORY / package).rglob("*.py"):
            for name in _NAMED.findall(file.read_text()):
                found.setdefault(name, []).append(file)
    return found
