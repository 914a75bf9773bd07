"""Who a daemon is to the others of one Postgres: the state directory that it serves."""

import json
from uuid import UUID, uuid4

from stratavore.embedded.records import write_private
from stratavore.paths import Home


def known_state_directory(home: Home) -> UUID | None:
    """The id of this state directory; None: no daemon has served it yet."""
    try:
        return UUID(json.loads(home.identity_file.read_text())["state_directory"])
    except FileNotFoundError:
        return None


def state_directory_id(home: Home) -> UUID:
    """The id of this state directory, made if there is none yet; only its one daemon makes it."""
    known = known_state_directory(home)
    if known is None:
        known = uuid4()
        write_private(home.identity_file, {"state_directory": str(known)})
    return known
