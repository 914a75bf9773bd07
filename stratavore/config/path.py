"""Which configuration file counts. Imports the standard library only: every command may ask."""

import os
from pathlib import Path

from stratavore.errors import ConfigurationMissing

VARIABLE = "STRATAVORE_CONFIG"
NAME = "stratavore/stratavore.yaml"
SYSTEM = Path("/etc") / NAME


def configuration_file() -> Path | None:
    """The file that is named, else that of the user, else that of the machine; None if there is none.

    Raises:
        ConfigurationMissing: one is named and is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser().absolute()
        if not path.exists():
            raise ConfigurationMissing(path=path)
        return path
    return next((path for path in (user_file(), SYSTEM) if path.exists()), None)


def user_file() -> Path:
    """Where a user's own file is looked for."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config").absolute() / NAME


def name_file(path: str | Path) -> None:
    """Have this process, and those that it starts, use this file.

    Raises:
        ConfigurationMissing: it is not there.
    """
    os.environ[VARIABLE] = str(path)
    found = configuration_file()
    if found is not None:
        os.environ[VARIABLE] = str(found)
