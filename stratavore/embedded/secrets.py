"""Passwords of the embedded servers and the key that signs events: made once for a state directory, 0600."""

import json
import secrets
from dataclasses import asdict, dataclass, replace

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
        found = cls.found(home)
        if found is not None:
            return found
        made = cls(
            postgres_password=secrets.token_urlsafe(24),
            rabbitmq_password=secrets.token_urlsafe(24),
            event_signing_key=secrets.token_hex(32),
        )
        with effect("embedded.secrets"):
            made.write(home)
        return made

    @classmethod
    def found(cls, home: Home) -> "Secrets | None":
        """Those of this state directory; None: nobody has made any."""
        try:
            return cls(**json.loads(home.secrets_file.read_text()))
        except FileNotFoundError:
            return None

    def signing_with(self, key: str) -> "Secrets":
        """The same with another key to sign events."""
        return replace(self, event_signing_key=key)

    def write(self, home: Home) -> None:
        """Let these be the state directory's."""
        write_private(home.secrets_file, asdict(self))
