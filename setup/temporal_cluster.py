"""``python -m setup.temporal_cluster``: the programs of a Temporal cluster on Postgres, built from source.

Only ``pytest --servers external`` wants them; see docs/contributing.md.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from setup.progress import SetupFailed, report, run
from setup.workshop import workshop
from stratavore.embedded.temporal import cache_directory

VERSION = "v1.29.1"
"""Of the server that the development server of ``setup/temporal.py`` has within it."""


@dataclass(frozen=True)
class Program:
    """One program: its package in the server's Go module, and what we call it."""

    package: str
    name: str

    @property
    def place(self) -> Path:
        """Where it is once it is built."""
        return cache_directory() / f"bin/{self.name}-{VERSION}"

    def provide(self) -> None:
        """Build it, unless that was done before.

        Raises:
            SetupFailed: there is no Go, or it cannot be built; says why.
        """
        if os.access(self.place, os.X_OK):
            return
        title = f"Building {self.name} from source, which may take minutes"
        if not shutil.which("go"):
            raise SetupFailed(f"{title}: there is no program 'go'. Install Go.")
        with workshop(self.place.parent) as directory:
            source = f"go.temporal.io/server/{self.package}@{VERSION}"
            run(title, ["go", "install", source], environment={**os.environ, "GOBIN": str(directory)})
            (built,) = directory.iterdir()
            run(f"Trying {self.name}", [built, "--version"])
            built.replace(self.place)


SERVER = Program("cmd/server", "temporal-server")
SCHEMA = Program("cmd/tools/sql", "temporal-sql-tool")


def provide() -> None:
    """Have both programs.

    Raises:
        SetupFailed: as :meth:`Program.provide`.
    """
    SERVER.provide()
    SCHEMA.provide()


if __name__ == "__main__":
    sys.exit(report(provide))
