"""Who a daemon is to the others of one Postgres: the state directory that it serves, on the machine that has it."""

import hashlib
import hmac
import json
import logging
from pathlib import Path
from uuid import UUID, uuid4

from stratavore.embedded.records import write_private
from stratavore.paths import Home

log = logging.getLogger(__name__)

MACHINE_ID = Path("/etc/machine-id")
"""The same through all starts of a machine, and another one on each (machine-id(5))."""


def known_state_directory(home: Home) -> UUID | None:
    """The id of this state directory; None: no daemon has served it yet."""
    known = _read(home)
    return UUID(known["state_directory"]) if known else None


def state_directory_id(home: Home) -> UUID:
    """The id of this state directory, made if there is none yet; only its one daemon makes it.

    A directory that came here as a copy from another machine gets an id of its own: the daemon there may live, and
    with the same id each would take the other's runners for dead.
    """
    known, here = _read(home), machine()
    there = known.get("machine")
    if known and here and there and here != there:
        log.warning("%s came from another machine: its daemon is another one from now on", home.root)
        known = {}
    own = UUID(known["state_directory"]) if known else uuid4()
    if not known or (here and not there):
        write_private(home.identity_file, {"state_directory": str(own), "machine": here})
    return own


def machine(file: Path = MACHINE_ID) -> str | None:
    """Which machine this is, told apart from others without saying its id; None: nobody gave it one."""
    try:
        id_ = UUID(file.read_text().strip())
    except (OSError, ValueError):  # a container's may be missing, empty or "uninitialized"
        return None
    return hmac.new(id_.bytes, b"stratavore", hashlib.sha256).hexdigest()[:32]


def _read(home: Home) -> dict[str, str | None]:
    try:
        known: dict[str, str | None] = json.loads(home.identity_file.read_text())
    except FileNotFoundError:
        return {}
    return known
