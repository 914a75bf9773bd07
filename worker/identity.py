"""Who a daemon is to the others of one Postgres: the state directory that it serves."""

import json
from uuid import UUID, uuid4

from stratavore.embedded.records import write_private
from stratavore.paths import Home


def state_directory_id(home: Home) -> UUID:
    """The id of this state directory, made if there is none yet; only its one daemon makes it."""
    try:
        return UUID(json.loads(home.identity_file.read_text())["state_directory"])
    except FileNotFoundError:
        made = uuid4()
        write_private(home.identity_file, {"state_directory": str(made)})
        return made
