"""Which configuration file counts. Imports the standard library only: every command may ask."""

import os
from pathlib import Path

from stratavore.errors import ConfigurationInvalid, ConfigurationMissing

VARIABLE = "STRATAVORE_CONFIG"
NAME = "stratavore/stratavore.yaml"
SYSTEM = Path("/etc") / NAME


def configuration_file() -> Path | None:
    """The file that is named, else that of the user, else that of the machine; None if there is none.

    Raises:
        ConfigurationMissing: one is named and is not there.
        ConfigurationInvalid: one may be there, and cannot be looked at.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser().absolute()
        if not _there(path):
            raise ConfigurationMissing(path=path)
        return path
    return next((path for path in (user_file(), SYSTEM) if _there(path)), None)


def user_file() -> Path:
    """Where a user's own file is looked for."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config").absolute() / NAME


def name_file(path: str | Path) -> None:
    """Have this process, and those that it starts, use this file.

    Raises:
        ConfigurationMissing: it is not there.
        ConfigurationInvalid: it cannot be looked at.
    """
    os.environ[VARIABLE] = str(path)
    found = configuration_file()
    if found is not None:
        os.environ[VARIABLE] = str(found)


def _there(path: Path) -> bool:
    """Whether there is such a file. One that may not be seen is not passed over: it may name the servers to use."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise ConfigurationInvalid(
            reason=f"Whether there is a configuration file {path} cannot be seen: {why}. "
            "Let this user enter its directory, or name another file with --config"
        ) from None
    return True
