"""``make up`` after the environment: programs, the daemon with its servers, a first session, what to try next."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from setup import agent, programs
from setup.environment import REPOSITORY, VENV
from setup.progress import SetupFailed, report, run, say
from stratavore.paths import Home

PROJECT = "hello"
STRATAVORE = VENV / "bin/stratavore"
# A session keeps the environment that it is launched from; make's own would be taken for theirs by its programs.
_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKE_TERMERR", "MAKE_TERMOUT")


def bring_up() -> None:
    """Bring everything up and say what runs; what is up already is left as it is."""
    programs.provide(programs.FOR_SESSIONS)
    run("Starting the daemon and its servers", [STRATAVORE, "daemon", "start"], environment=environment())
    first = agent.choose(environment())
    if not any(one["name"] == PROJECT for one in ask("projects")):
        directory = Home.from_environment().root / PROJECT
        directory.mkdir(exist_ok=True)
        run("Creating a project", [STRATAVORE, "new", PROJECT, "--path", directory, *first.words])
    opened = run("Starting a session", [STRATAVORE, "open", PROJECT], environment=environment())
    session = ask("sessions", "show", opened[-1].split()[0])  # "1a2b3c4d  running"
    _tell(ask("daemon", "status"), session, first)


def environment() -> dict[str, str]:
    """Ours without what ``make`` adds to it."""
    return {name: value for name, value in os.environ.items() if name not in _OF_MAKE}


def ask(*words: str) -> Any:
    """The answer of a command.

    Raises:
        SetupFailed: with its message.
    """
    command: list[str | Path] = [STRATAVORE, *words, "--format", "json"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise SetupFailed(answer.stderr.strip().removeprefix("Error: "))
    return json.loads(answer.stdout)


def _tell(daemon: dict[str, Any], session: dict[str, Any], first: agent.First) -> None:
    """Say what runs, where the Web UI is, and what to try next."""
    say("Running:")
    say(f"  {'daemon':<10} process {daemon['pid']}")
    for server in daemon["servers"]:
        state = "" if server["state"] == "running" else f" ({server['state']})"
        say(f"  {server['name']:<10} {server['address'] or '-'}{state}")
    say(f"  {'session':<10} {session['session_id'][:8]} of project {PROJECT}, {session['state']}")
    say(f"\n{first.said_of(session['agent'])}")
    if session["state"] != "running":
        say(f"It does not run now; see why: {_typed()} sessions show {session['session_id'][:8]}")
    ui = next((server["ui"] for server in daemon["servers"] if server["name"] == "temporal"), None)
    if ui:
        say(f"\nWeb UI: {ui}")
    stratavore = _typed()
    say(f"""
Try next:
  {stratavore} {PROJECT}                  talk to the session; Ctrl-b d leaves it, and it goes on
  {stratavore} send {PROJECT} '{first.example_for(session["agent"])}'  type into it from outside
  {stratavore} status --watch         see everything; q leaves""")


def _typed() -> str:
    """What a person types in this directory to run the command line."""
    found = shutil.which("stratavore")
    return "stratavore" if found == str(STRATAVORE) else str(STRATAVORE.relative_to(REPOSITORY))


if __name__ == "__main__":
    sys.exit(report(bring_up))
