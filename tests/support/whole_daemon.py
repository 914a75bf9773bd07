"""A daemon with servers of its own, of which everything can be killed: a whole Stratavore on one machine."""

import os
import shutil
import signal
import stat
from contextlib import suppress
from pathlib import Path

from stratavore.embedded.stack import EmbeddedStack
from stratavore.paths import Home
from stratavore.procfs import boot_id
from stratavore.runtime.processes import Liveness, Snapshot, liveness
from stratavore.runtime.rundir import RunDirectory
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer

SERVERS = ("temporal", "postgres", "rabbitmq")


class WholeDaemon(DaemonProcess):
    """A daemon that starts and keeps its servers itself."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, temporal="", namespace="stratavore", dsn="", rabbitmq=None, host="house")
        self.as_program = True

    @property
    def environment(self) -> dict[str, str]:
        """No address, and no usual port."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ports = ("TEMPORAL__PORT", "TEMPORAL__UI_PORT", "POSTGRES__PORT", "RABBITMQ__PORT", "RABBITMQ__MANAGEMENT_PORT")
        return (
            kept
            | {f"STRATAVORE_{name}": "0" for name in (*ports, "METRICS__PORT")}
            | {
                "STRATAVORE_HOME": str(self.home.root),
                "STRATAVORE_CONFIG": os.devnull,
                "STRATAVORE_HOST": self.host,
                "STRATAVORE_MONITOR_INTERVAL_SECONDS": "0.2",
            }
        )

    async def ready(self) -> None:
        """Wait until the API answers, and find its servers."""
        await super().ready()
        self.dsn, self.temporal = self.stack.postgres_dsn, self.stack.temporal_address

    @property
    def stack(self) -> EmbeddedStack:
        """Its servers, as it wrote them down."""
        found = EmbeddedStack.recorded(self.home)
        assert found is not None
        return found

    def server_pid(self, name: str) -> int:
        """The process of one of its servers."""
        (pid,) = [one.pid for one in self.stack.servers() if one.name == name]
        assert pid is not None, name
        return pid

    async def rabbitmq_runs(self) -> str:
        """Wait until its RabbitMQ runs, which is the daemon's to start. Returns the address."""

        async def url() -> str | None:
            stack = self.stack
            (info,) = [one for one in stack.servers() if one.name == "rabbitmq"]
            return stack.rabbitmq_url if info.state == "running" else None

        return await answer(url, what="RabbitMQ") or ""

    def tmux_servers(self) -> set[int]:
        """The terminal servers that hold agents."""
        home = self.home
        wrappers = [RunDirectory(home, path.name).wrapper() for path in home.runners.iterdir()]
        alive = [one for one in wrappers if one is not None and liveness(one) is Liveness.ALIVE]
        return {int(Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[1]) for one in alive}

    async def power_cut(self) -> None:
        """No process is left, sockets are gone, and the machine's next start has another boot id.

        The kernel's is not ours to change: it is the past whose boot id becomes another one.
        """
        self.kill()
        earlier = "00000000-0000-4000-8000-000000000000"
        async with self.connection() as connection:
            await connection.execute("UPDATE runners SET boot_id = $1 WHERE boot_id IS NOT NULL", earlier)
            await connection.execute("UPDATE hosts SET boot_id = $1", earlier)
        processes = [
            *self.tmux_servers(),
            *(one.pid for found in Snapshot().marked(home=self.home.root).values() for one in found),
            *(pid for pid in (info.pid for info in self.stack.servers()) if pid),
        ]
        kill(*processes)
        files = [self.home.servers_file, *self.home.runners.glob("*/started"), *self.home.runners.glob("*/pid")]
        for file in files:
            mode = stat.S_IMODE(file.stat().st_mode)
            file.write_text(file.read_text().replace(boot_id(), earlier))
            file.chmod(mode)
        shutil.rmtree(self.home.sockets)


def kill(*pids: int) -> None:
    """``kill -9`` of all of them at once; one may have died of another's death."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
