"""Who sits at a command line. Imports the standard library only: every command may pay for it."""

import os
import pwd
import sys
from typing import Any
from uuid import uuid4


def operator() -> dict[str, Any]:
    """Who types this command, as the fields of :class:`stratavore.models.session.Operator`."""
    uid = os.getuid()
    return {
        "id": str(uuid4()),
        "user": user_name(uid),
        "uid": uid,
        "host": os.uname().nodename,
        "terminal": _terminal(),
        "ssh": (os.environ.get("SSH_CONNECTION") or "").split(" ")[0] or None,
    }


def user_name(uid: int) -> str:
    """The name of a user; its number, if it has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _terminal() -> str | None:
    for stream in (sys.stdin, sys.stderr):
        try:
            return os.ttyname(stream.fileno()).removeprefix("/dev/")
        except (OSError, ValueError):
            continue
    return None
