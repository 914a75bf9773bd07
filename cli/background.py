"""Starting the daemon in the background, and stopping it."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cli import client
from cli.service import daemon_pid
from cli.terminal import Progress
from cli.text import one_line
from stratavore.config.path import VARIABLE, configuration_file
from stratavore.errors import EXIT_FAILED, DaemonSilent, RemoteError, StratavoreError
from stratavore.paths import Home
from stratavore.runtime.logs import trim_logs

START_SECONDS = 60.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 5.0
_ERROR = "Error: "
_MESSAGE = re.compile(r'^time=\S+ .*?\bmessage=("(?:[^"\\]|\\.)*"|\S+)')


def start_daemon(home: Home) -> bool:
    """Start a daemon that outlives this process, and wait until it answers. Returns False if one ran already.

    Raises:
        DaemonSilent: one lives and does not answer.
        StratavoreError: it ended instead (what it said last is the message), or does not answer in time.
    """
    home.create()
    if answers(home) or _another_starts(home):
        return False
    log = home.logs / "daemon.log"
    with suppress(OSError):  # a full disk; now, so that none of what this daemon says first is moved away
        trim_logs(home.logs)
    with log.open("ab") as output, Progress() as progress:
        log.chmod(0o600)
        begin = output.seek(0, os.SEEK_END)
        daemon = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.daemon"],  # what lies in the state directory is no module
            cwd=home.root,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        said = Said(log, begin)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            code = daemon.poll()
            for line in said.lines():
                progress.show(f"starting: {line}")
            if answers(home):
                return code is None  # another one may have been quicker
            if code is not None and not daemon_lives(home):
                raise _died(said, code, log)
            time.sleep(LOOK_SECONDS)
    raise StratavoreError(
        reason=f"The daemon (process {daemon.pid}) did not answer in {START_SECONDS:.0f} s; see {log}"
    )


def stop_daemon(home: Home) -> bool:
    """Ask the daemon to stop, and wait until it has. Returns False if none ran.

    Raises:
        StratavoreError: it lives and does not stop.
    """
    if not daemon_lives(home):
        return False
    told = False

    def stopped() -> bool:
        nonlocal told
        told = told or _told_to_stop(home)
        return not daemon_lives(home)

    with Progress() as progress:
        if not _until(stopped, STOP_SECONDS, lambda: progress.show("the daemon is stopping …")):
            raise StratavoreError(
                reason=f"The daemon did not stop in {STOP_SECONDS:.0f} s; end it with: kill -9 {daemon_pid(home)}"
            )
    return True


def answers(home: Home) -> bool:
    """Whether a daemon answers.

    Raises:
        DaemonSilent: one takes calls and answers none.
    """
    try:
        client.call(home.api_socket, "daemon_status", {}, _ANSWER_SECONDS)
    except client.Unanswered as unanswered:
        if unanswered.silent:
            raise DaemonSilent(pid=daemon_pid(home)) from None
        return False
    except RemoteError:
        return True
    return True


def daemon_lives(home: Home) -> bool:
    """Whether a daemon holds the lock, answering or not."""
    try:
        file = os.open(home.daemon_lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def terminals_live(home: Home) -> bool:
    """Whether any terminal of a session is open on this machine."""
    return any(_listens(socket) for socket in home.sockets.glob("t-*"))


class Said:
    """What the daemon writes to its log, line by line."""

    def __init__(self, log: Path, begin: int) -> None:
        self._log = log
        self._read = begin
        self.last = ""

    def lines(self) -> list[str]:
        """Whole lines that are new."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._read += len(whole) + 1
        found = [said_in(line) for line in whole.decode("utf-8", "replace").split("\n") if line.strip()]
        self.last = found[-1] if found else self.last
        return found


def said_in(line: str) -> str:
    """The message of a line of the log; of one that is none, all of it."""
    found = _MESSAGE.search(line)
    if not found:
        return one_line(line)
    return one_line(json.loads(found[1]) if found[1].startswith('"') else found[1])


def _environment(home: Home) -> dict[str, str]:
    """Ours, where each path that a daemon heeds is whole: it works in another directory."""
    named = {"STRATAVORE_HOME": str(home.root)}
    if os.environ.get(VARIABLE):
        named[VARIABLE] = str(configuration_file())
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        if os.environ.get(name):
            named[name] = str(Path(os.environ[name]).absolute())
    return os.environ | named


def _told_to_stop(home: Home) -> bool:
    """Tell the daemon to stop: by a call, or, while it starts and takes none, by the signal that it heeds then."""
    try:
        client.call(home.api_socket, "stop_daemon", {}, _ANSWER_SECONDS)
    except client.Unanswered as unanswered:
        if unanswered.silent:
            raise DaemonSilent(pid=daemon_pid(home)) from None
        from stratavore.daemon_lock import holder

        daemon = holder(home)
        return daemon is not None and daemon.send(signal.SIGTERM)
    return True


def _another_starts(home: Home) -> bool:
    """Wait for a daemon that somebody else is starting, or that is about to end. Returns whether one answers."""
    found = False

    def settled() -> bool:
        nonlocal found
        found = answers(home)
        return found or not daemon_lives(home)

    with Progress() as progress:
        if not _until(settled, START_SECONDS, lambda: progress.show("another daemon is starting or stopping …")):
            raise DaemonSilent(pid=daemon_pid(home))
    return found


def _died(said: Said, code: int, log: Path) -> StratavoreError:
    said.lines()
    if said.last.startswith(_ERROR):
        return RemoteError(
            code="daemon_ended", message=said.last.removeprefix(_ERROR), exit_code=code if code > 0 else EXIT_FAILED
        )
    last = f": {said.last.rstrip('.')}" if said.last else ""
    return StratavoreError(reason=f"The daemon ended at once{last}; see {log}")


def _listens(path: Path) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _until(condition: Callable[[], bool], seconds: float, meanwhile: Callable[[], None]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        meanwhile()
        time.sleep(LOOK_SECONDS)
    return True
