"""Claude Code for the tests: the version that they are written for, from npm, locked by its hashes."""

import json
import os
import shutil
from pathlib import Path

from setup.progress import SetupFailed, run
from setup.workshop import workshop
from stratavore.embedded.temporal import cache_directory

_PINNED = Path(__file__).parents[1] / "tests/claude_code"
_PACKAGE = "@anthropic-ai/claude-code"


def version() -> str:
    """The version that the tests are written for."""
    dependencies = json.loads((_PINNED / "package.json").read_bytes())["dependencies"]
    return str(dependencies[_PACKAGE])


def program() -> Path:
    """Where the program is once it was provided; a directory of its own, so that it can be put on a PATH."""
    return cache_directory() / "claude-code" / version() / "claude"


def provide() -> None:
    """Have the program in the cache; nothing happens if it is there.

    Raises:
        SetupFailed: it is not to be had; says what to do.
    """
    place = program().parent
    if place.is_dir():
        return
    if not shutil.which("npm"):
        raise SetupFailed(
            "The tests run Claude Code, which npm installs, and there is no program 'npm': install Node.js."
        )
    with workshop(place.parent) as directory:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_PINNED / name, directory)
        # What its install script does is to move the program, which is done here: no foreign script need run.
        words = [
            "ci",
            "--prefix",
            str(directory),
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
        ]
        run(f"Installing Claude Code {version()} for the tests", ["npm", *words])
        _keep_program(directory)
        _try(directory)
        directory.chmod(0o755)
        try:
            directory.rename(place)
        except OSError:
            if not place.is_dir():  # else somebody else was faster
                raise


def _keep_program(directory: Path) -> None:
    """Of the packages, keep the program alone: one for the system, 400 MB each."""
    modules = directory / "node_modules"
    found = [path for path in modules.glob(f"{_PACKAGE}-*/claude") if os.access(path, os.X_OK)]
    if not found:
        raise SetupFailed(f"Claude Code {version()} has no program for this system.")
    found[0].rename(directory / "claude")
    shutil.rmtree(modules)


def _try(directory: Path) -> None:
    """It runs, and asks nobody for anything: with a home of its own, which goes with the trial."""
    home = directory / "home"
    home.mkdir()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "DISABLE_AUTOUPDATER": "1"}
    run("Trying Claude Code", [directory / "claude", "--version"], environment=environment)
    shutil.rmtree(home)
