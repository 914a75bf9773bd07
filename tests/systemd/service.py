"""The daemon as a service of a machine."""

import os

from stratavore.paths import Home
from tests.support.command_line import CommandLine
from tests.support.waiting import answer
from tests.systemd.machine import Machine

UNIT = "stratavored.service"
RUNTIME = {"XDG_RUNTIME_DIR": "/run/user/0"}
_KEPT = ("PATH", "HOME", "LANG")


class Service:
    """One of the machine, or of its user: what is seen of it, and of the agents in it."""

    def __init__(self, machine: Machine, home: Home, scope: str) -> None:
        self._machine = machine
        self._home = home
        self._scope = scope
        own = scope == "--user"
        self._systemctl = ("systemctl", *(("--user",) if own else ()))
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._environment = {
            **kept,
            "STRATAVORE_HOME": str(home.root),
            "STRATAVORE_CONFIG": os.devnull,
            "STRATAVORE_RABBITMQ__ENABLED": "false",  # as anywhere else, and slow
        }
        self.variables = f"{home.root}/daemon.environment" if own else "/etc/stratavore/daemon.environment"
        self.drop_in = f"{'/root/.config/systemd/user' if own else '/etc/systemd/system'}/{UNIT}.d"

    @property
    def cli(self) -> CommandLine:
        """``stratavore`` in the machine."""
        return self._machine.command_line(self._environment, self._home.root)

    async def install(self) -> None:
        """As the guides say; and two sessions."""
        await self.cli.done("daemon", "install", self._scope, "--now")
        await self.cli.done("new", "site", "--", "cat")
        await self.cli.done("launch", "site", "--count", "2", "--detach")
        await answer(self.both_run, what="that both run")

    async def uninstall(self) -> None:
        """Take it away."""
        await self.cli.done("daemon", "uninstall", self._scope)

    def systemctl(self, *words: str) -> str:
        """What systemd says."""
        return self._machine.run(*self._systemctl, *words, environment=RUNTIME)

    def shows(self, name: str) -> str:
        """A property of the unit."""
        return self.systemctl("show", "--property", name, "--value", UNIT).strip()

    def type(self, command: str) -> str:
        """What a command of the shell writes."""
        return self._machine.run("sh", "-c", command)

    def journal(self) -> str:
        """What the service wrote."""
        return self._machine.run("journalctl", "--output", "cat", "--no-pager", "--identifier", "stratavored")

    async def agents(self) -> dict[str, int]:
        """The process of each runner that runs."""
        return {one["runner_id"]: one["pid"] for one in await self.cli.json("runners") if one["status"] == "running"}

    async def both_run(self) -> bool:
        """Whether both sessions have a runner."""
        return len(await self.agents()) == 2
