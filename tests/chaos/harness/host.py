"""A host under test: a state directory, its terminals, and a daemon that is started again when it dies."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cli.client import Unanswered, call
from stratavore import procfs
from stratavore.errors import StratavoreError
from stratavore.killpoints import VARIABLE
from stratavore.paths import Home
from stratavore.runtime.processes import HOME_MARKER
from tests.chaos.harness.processes import living, trees
from tests.chaos.harness.record import Agent
from tests.chaos.harness.servers import SERVERS, Servers
from tests.support.command_line import CommandLine
from tests.support.servers import REPOSITORY

LEASE_SECONDS = 10.0
"""Of each host: shorter than the longest fault, so that hosts are away now and then."""
_PORTS = ("TEMPORAL__PORT", "TEMPORAL__UI_PORT", "POSTGRES__PORT", "METRICS__PORT", "RABBITMQ__PORT")
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Processes started below see the file instead: as after a reboot, pids of before prove nothing to them.
_AFTER_BOOT = 'mount --bind "$0" ' + _BOOT_ID + ' && exec "$@"'


class Host:
    """What stands for a machine. ``may_boot``: the one that we are on lets us change the boot id that others see."""

    def __init__(self, name: str, home: Home, settings: Mapping[str, str]) -> None:
        self.name = name
        self.home = home
        self.settings = dict(settings)
        """Environment variables of its daemon, beside the usual ones."""
        self.log = home.root.with_name(f"{home.root.name}.daemon.log")
        self._boot_file = home.root.with_name(f"{home.root.name}.boot")
        self._process: subprocess.Popen[bytes] | None = None
        self._kill_at: str | None = None
        self.up = asyncio.Event()
        """Somebody wants the daemon to run. Cleared, it stays dead."""
        self.ends = Counter[str]()
        """How often the daemon was found dead that nobody had killed, and how it ended."""
        self._killed = False
        self.pulled_down = 0
        """How often the daemon was killed."""
        self.may_boot = _may_mount()
        self.boot()

    @property
    def environment(self) -> dict[str, str]:
        """What the daemon and the command line are started with."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ports = {f"STRATAVORE_{name}": "0" for name in (*_PORTS, "RABBITMQ__MANAGEMENT_PORT")}
        return {
            **kept,
            **ports,
            "STRATAVORE_HOST": self.name,
            "STRATAVORE_HOST_LEASE_SECONDS": str(LEASE_SECONDS),
            "STRATAVORE_HOME": str(self.home.root),
            "STRATAVORE_CONFIG": os.devnull,
            **self.settings,
        }

    @property
    def command_line(self) -> CommandLine:
        """Commands as people type them."""
        return CommandLine(self.environment, self.home.root).as_installed()

    def boot(self) -> None:
        """From now on what is started sees another boot id."""
        # A new file: the old one is still what those see that were started before.
        self._boot_file.unlink(missing_ok=True)
        self._boot_file.write_text(f"{uuid.uuid4()}\n")

    def pull_down(self) -> None:
        """From now on the daemon is not started again; whoever calls this kills it."""
        self._killed = True
        self.pulled_down += 1
        self.up.clear()

    def arm(self, kill_point: str) -> None:
        """Let the next daemon die at this point."""
        self._kill_at = kill_point

    async def supervise(self) -> None:
        """Start the daemon whenever it is wanted and does not live, as a service manager does."""
        while True:
            await self.up.wait()
            if self._process is None or self._process.poll() is not None:
                self._count_end()
                self._spawn()
            await asyncio.sleep(0.1)

    @property
    def pid(self) -> int | None:
        """Of the living daemon."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def answers(self) -> bool:
        """Whether the daemon answers now."""
        try:
            call(self.home.api_socket, "daemon_status", {}, 5)
        except (Unanswered, StratavoreError):
            return False
        return True

    def _count_end(self) -> None:
        if self._process is not None and not self._killed:
            code = self._process.returncode
            self.ends["died at its kill point" if code == -signal.SIGKILL else f"daemon ended with {code}"] += 1

    def _spawn(self) -> None:
        environment, words = self.environment, [sys.executable, "-m", "worker.daemon"]
        if self._kill_at:
            environment[VARIABLE], self._kill_at = self._kill_at, None
        if self.may_boot:
            words = ["unshare", "--mount", "sh", "-c", _AFTER_BOOT, str(self._boot_file), *words]
        self._killed = False
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                words,
                env=environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    # Who is who: by what this state directory recorded, and never by a name.

    def tmux(self) -> dict[str, int]:
        """The tmux servers, by socket."""
        found = {}
        for socket in self.home.sockets.glob("t-*"):
            try:
                words = ["tmux", "-S", str(socket), "display-message", "-p", "#{pid}"]
                said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=3).stdout.strip()
            except subprocess.TimeoutExpired:
                continue
            if said.isdigit():
                found[socket.name] = int(said)
        return found

    def runner_process(self, runner_id: str, which: str) -> Agent | None:
        """The living agent (``pid``) or wrapper (``started``) of a runner of this host."""
        try:
            text = (self.home.run_directory(runner_id) / which).read_text()
            _, _, stat = text.partition(" ")
            return living((int(stat.partition(" ")[0]), procfs.parse_stat(stat).start_ticks))
        except (OSError, ValueError):
            return None

    def everything(self) -> set[int]:
        """All processes of the state directory: daemon, servers, terminals, agents, and what they started."""
        servers = Servers(self.home)
        roots = {self.pid, *self.tmux().values()}
        roots |= {one[0] for name in (*SERVERS, "epmd") if (one := servers.process(name))}
        for pid in procfs.pids():
            if procfs.environment_value(pid, HOME_MARKER) == str(self.home.root):
                roots.add(pid)
        return trees({pid for pid in roots if pid}) - set(procfs.ancestors(os.getpid()))

    def keep(self, directory: Path) -> None:
        """Copy what tells how it came: logs, and run directories."""
        directory.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            shutil.copy(self.log, directory / "daemon.log")
        for part in ("logs", "runners"):
            shutil.copytree(self.home.root / part, directory / part, dirs_exist_ok=True, ignore=_sockets)


def _may_mount() -> bool:
    words = ["unshare", "--mount", "sh", "-c", _AFTER_BOOT, os.devnull, "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _sockets(directory: str, names: list[str]) -> Iterable[str]:
    return [name for name in names if not (Path(directory, name).is_file() or Path(directory, name).is_dir())]
