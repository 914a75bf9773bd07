"""``python -m setup.compose_env``: makes ``temporal-compose/.env`` with random passwords."""

import os
import secrets
import sys
from pathlib import Path

from setup.progress import report, say

DIRECTORY = Path(__file__).parents[1] / "temporal-compose"


def fill(example: str) -> str:
    """The settings of an example, with a password where one is missing."""
    lines = []
    for line in example.splitlines():
        name, equals, value = line.partition("=")
        wanted = name.endswith("_PASSWORD") and equals and not value
        lines.append(f"{line}{secrets.token_hex(24)}" if wanted else line)
    return "\n".join(lines) + "\n"


def provide(directory: Path = DIRECTORY) -> None:
    """Make the file, 0600. One that is there stays as it is: its passwords are in use."""
    place = directory / ".env"
    if place.exists():
        say(f"{place} is there already, and stays as it is.")
        return
    filled = fill((directory / ".env.example").read_text())
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(filled)
    say(f"Made {place}.")


if __name__ == "__main__":
    sys.exit(report(provide))
