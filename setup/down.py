"""``make down``: ends what ``make up`` started, and keeps its data; ``make purge`` (``--delete``) deletes that too."""

import shutil
import subprocess
import sys
from pathlib import Path

from setup.progress import SetupFailed, report, run, say
from setup.up import PROJECT, STRATAVORE, ask, environment
from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home


def take_down() -> None:
    """End the sample's sessions, then everything; a person's own sessions are not ended unasked.

    Raises:
        SetupFailed: something still runs; the command that could not stop it has said why.
    """
    if _sample_lives():
        if subprocess.run([STRATAVORE, "daemon", "status"], capture_output=True, check=False).returncode != 0:
            # Nothing else ends a session in order.
            run("Starting the daemon", [STRATAVORE, "daemon", "start"], environment=environment())
        run("Ending the sample's session", [STRATAVORE, "kill", PROJECT])
    if subprocess.run([STRATAVORE, "daemon", "stop", "--all"], check=False).returncode != 0:
        raise SetupFailed("Something still runs.")


def _sample_lives() -> bool:
    try:
        return any(one["project"] == PROJECT for one in ask("sessions"))
    except SetupFailed:  # neither daemon nor servers answer; what follows says what that means
        return False


def keep(home: Home) -> None:
    """Say where the data is."""
    take_down()
    if home.root.exists():
        say(f"Its data is in {home.root}: 'make up' goes on with it, 'make purge' deletes it.")


def delete(home: Home) -> None:
    """Take down, and delete the state directory and what belongs to it, once the person has agreed.

    Raises:
        SetupFailed: nobody agreed.
    """
    directories = _directories(home)
    if directories:
        say(f"This deletes every session and its history: {', '.join(map(str, directories))}")
        if not _agreed():
            raise SetupFailed("Nothing was deleted.")
    take_down()
    for path in directories:
        shutil.rmtree(path)


def _directories(home: Home) -> list[Path]:
    """What there is of it; its sockets lie elsewhere when the path of the state directory is long."""
    directories = [path for path in EmbeddedStack(home, None).directories if path.exists()]
    if home.sockets.exists() and not home.sockets.is_relative_to(home.root):
        directories.append(home.sockets)
    return directories


def _agreed() -> bool:
    try:
        return input("Type 'delete' to go on: ") == "delete"
    except EOFError:
        say()
        return False


if __name__ == "__main__":
    end = delete if "--delete" in sys.argv else keep
    sys.exit(report(lambda: end(Home.from_environment())))
