"""Passwords of the embedded servers and the key that signs events: made once for a state directory, 0600."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from stratavore.embedded.records import write_private
from stratavore.killpoints import effect
from stratavore.paths import Home


@dataclass(frozen=True, repr=False)
class Secrets:
    """The secrets of one state directory."""

    postgres_password: str
    rabbitmq_password: str
    event_signing_key: str
    """32 random bytes as hexadecimal digits."""

    @classmethod
    def of(cls, home: Home) -> "Secrets":
        """Those of this state directory, made if there are none yet; only its one daemon makes them."""
        found = _read(home.secrets_file)
        if found is not None:
            return found
        made = cls(
            postgres_password=secrets.token_urlsafe(24),
            rabbitmq_password=secrets.token_urlsafe(24),
            event_signing_key=secrets.token_hex(32),
        )
        with effect("embedded.secrets"):
            write_private(home.secrets_file, asdict(made))
        return made


def _read(path: Path) -> Secrets | None:
    try:
        return Secrets(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
