"""A machine of its own, as far as a kernel lets: processes, network, control groups, and a systemd that boots."""

import os
import signal
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.waiting import until

BOOT = Path(__file__).with_name("boot.sh")
BOOT_SECONDS = 60.0
_OWN = ("--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--net", "--uts", "--ipc")
_INTO = ("--mount", "--pid", "--cgroup", "--net", "--uts", "--ipc")
_GROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))


class Machine:
    """Boots, is rebooted, and runs commands. Only root can have one.

    Args:
        directory: where all that it writes is kept; the state directories of tests are the same inside and outside.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._console = directory / "console"
        self._groups = [
            one / f"stratavore-{uuid.uuid4().hex[:8]}" for one in _GROUPS if (one / "cgroup.procs").exists()
        ]
        for group in self._groups:
            group.mkdir()
        self._life: subprocess.Popen[bytes] | None = None

    async def boot(self) -> None:
        """Power it on, and wait until all its services have started."""
        join = " && ".join(f"echo $$ >{group}/cgroup.procs" for group in self._groups)
        # It does not outlive the test, however that ends.
        become = f'exec setpriv --pdeathsig KILL unshare {" ".join(_OWN)} sh "$@"'
        with self._console.open("ab") as console:
            self._life = subprocess.Popen(
                ["sh", "-c", f"{join} && {become}", "boot", str(BOOT), str(self._directory)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        await until(self._is_up, BOOT_SECONDS, what="the machine's boot")

    async def reboot(self) -> None:
        """End everything that runs in it at once, and boot again."""
        assert self._life is not None
        self.run("systemctl", "reboot", "--force", "--force")
        self._life.wait(BOOT_SECONDS)
        await self.boot()

    def power_off(self) -> None:
        """End everything that runs in it; nothing is left of it."""
        if self._life is not None and self._life.poll() is None:
            os.kill(self._first_process(), signal.SIGKILL)  # the kernel ends all others with it
            self._life.wait(BOOT_SECONDS)
        for group in self._groups:
            for path in sorted(group.rglob("*/"), reverse=True):
                with suppress(NotADirectoryError):
                    path.rmdir()
            group.rmdir()

    def run(self, *words: str, environment: dict[str, str] | None = None) -> str:
        """What a program writes that runs in the machine, whether it succeeds or not."""
        done = subprocess.run(
            [*self.inside, *words],
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def command_line(self, environment: dict[str, str], directory: Path) -> CommandLine:
        """``stratavore`` as somebody types it there; to be made anew after a boot."""
        return CommandLine(environment, directory).as_installed().behind(*self.inside)

    @property
    def inside(self) -> tuple[str, ...]:
        """What runs a program in the machine."""
        return ("nsenter", "--target", str(self._first_process()), *_INTO)

    def _first_process(self) -> int:
        assert self._life is not None
        (pid,) = Path(f"/proc/{self._life.pid}/task/{self._life.pid}/children").read_text().split()
        return int(pid)

    def _is_up(self) -> bool:
        assert self._life is not None
        assert self._life.poll() is None, self._console.read_text()
        try:
            return self.run("systemctl", "is-system-running").strip() == "running"
        except ValueError:  # not even its first process is there
            return False
