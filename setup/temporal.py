"""The Temporal server's program: one named or on PATH, else the SDK's download, else built from source."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from setup.progress import SetupFailed, run
from setup.settings import settings
from setup.workshop import workshop
from stratavore.embedded.temporal import cache_directory, find_binary

VERSION = "v1.5.1"
SOURCE = f"github.com/temporalio/cli/cmd/temporal@{VERSION}"
STALLED_SECONDS = 30.0
"""A download from which nothing more comes for so long is given up."""
_HINT = (
    "Install Go, and it is built from source; or put a program 'temporal' on PATH; "
    "or name one with STRATAVORE_TEMPORAL__BINARY, or a server with STRATAVORE_TEMPORAL__ADDRESS."
)


def provide() -> None:
    """Have the program where the daemon finds it, unless the settings name a server elsewhere.

    Raises:
        SetupFailed: it is nowhere to be had; says what to do.
    """
    told = settings().temporal
    if told.address:
        return
    named = told.binary
    if find_binary(named):
        return
    if named:
        raise SetupFailed(f"The setting temporal.binary names {named}, which is no program.")
    failures = []
    for way in (_download, _build):
        try:
            _install(way)
        except SetupFailed as error:
            failures.append(str(error))
        else:
            return
    raise SetupFailed("\n".join(["There is no Temporal server here.", *failures, _HINT]))


def _install(get: Callable[[Path], None]) -> None:
    """Get the program into a directory of its own, see that it runs, and put it into place by renaming it."""
    place = cache_directory() / "bin/temporal"
    with workshop(place.parent) as directory:
        get(directory)
        (found,) = (file for file in directory.iterdir() if os.access(file, os.X_OK))
        run("Trying Temporal", [found, "--version"])
        found.replace(place)


def _download(directory: Path) -> None:
    """As the SDK does it, in a process of its own since it may only be ended from outside."""
    watch = _Growth(directory)
    run("Downloading Temporal", [sys.executable, "-m", "setup.download", directory, VERSION], give_up=watch.stalled)


def _build(directory: Path) -> None:
    if not shutil.which("go"):
        raise SetupFailed("Building Temporal: there is no program 'go'.")
    environment = {**os.environ, "GOBIN": str(directory)}
    run("Building Temporal from source, which may take minutes", ["go", "install", SOURCE], environment=environment)


class _Growth:
    """Whether more comes into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._size = 0
        self._since = time.monotonic()

    def stalled(self) -> bool:
        """Whether nothing has come for too long."""
        size = sum(file.stat().st_size for file in self._directory.iterdir())
        if size != self._size:
            self._size, self._since = size, time.monotonic()
        return time.monotonic() - self._since > STALLED_SECONDS
