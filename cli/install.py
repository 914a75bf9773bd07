"""``stratavore daemon install`` and ``uninstall``: the daemon as a service of systemd."""

import os
import pwd
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli import unit
from cli.service import service
from cli.terminal import note
from cli.unit import NAME, Scope
from stratavore.config.path import VARIABLE, configuration_file
from stratavore.errors import NotRoot, ServiceOfAnother, SystemdAway, SystemdFailed
from stratavore.operators import user_name
from stratavore.paths import Home

SYSTEMD = Path("/run/systemd/system")
"""It is there where systemd runs."""
LINGERING = Path("/var/lib/systemd/linger")
ETC = Path("/etc")
_NOT_KEPT = ("STRATAVORE_HOME", "STRATAVORE_DEBUG")

UserOption = Annotated[bool, typer.Option("--user", help="A service of yours alone. The default, but for root.")]
SystemOption = Annotated[bool, typer.Option("--system", help="A service of the machine; only root may install it.")]


@dataclass(frozen=True)
class Service:
    """Where the service of a state directory is, or would be."""

    scope: Scope
    account: str
    home: Home

    @property
    def file(self) -> Path:
        """The unit."""
        if self.scope is Scope.SYSTEM:
            return ETC / "systemd/system" / NAME
        configuration = os.environ.get("XDG_CONFIG_HOME")
        return (Path(configuration) if configuration else Path.home() / ".config") / "systemd/user" / NAME

    @property
    def environment_file(self) -> Path:
        """The variables that the daemon gets; some are secrets, so nobody else may read it."""
        return (ETC / "stratavore" if self.scope is Scope.SYSTEM else self.home.root) / "daemon.environment"

    @property
    def text(self) -> str:
        """The unit's text."""
        return unit.unit(
            self.scope,
            program=Path(sys.executable).with_name("stratavored"),
            home=self.home.root,
            environment=self.environment_file,
            user=self.account,
        )

    @property
    def typed(self) -> str:
        """What a person types for it."""
        return "systemctl --user" if self.scope is Scope.USER else "sudo systemctl"

    def systemctl(self, *words: str) -> None:
        """Ask systemd for something.

        Raises:
            SystemdFailed: it refused.
        """
        own = ("--user",) if self.scope is Scope.USER else ()
        environment = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}
        done = subprocess.run(
            ["systemctl", "--no-ask-password", *own, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[0].rstrip(".")
            raise SystemdFailed(command=" ".join(["systemctl", *own, *words]), reason=reason)


def install(
    user: UserOption = False,
    system: SystemOption = False,
    now: Annotated[bool, typer.Option("--now", help="Start it too; a daemon that runs already is replaced.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the unit, and change nothing.")] = False,
) -> None:
    """Make the daemon a service of systemd, which starts it with the machine and after a failure.

    The service gets the state directory, PATH, the STRATAVORE_ variables of this terminal and the file of --config.
    Stopping it never ends agents. Under sudo it runs as the person who typed it.

    Examples:
        stratavore daemon install --now
        stratavore daemon install --dry-run
        sudo stratavore daemon install --system
    """
    wanted = _wanted(user=user, system=system)
    if dry_run:
        typer.echo(wanted.text, nl=False)
        note(f"This would be written to {wanted.file}.")
        return
    _check(wanted)
    _write(wanted.environment_file, unit.environment_file(_variables()), 0o600)
    _write(wanted.file, wanted.text, 0o644)
    wanted.systemctl("daemon-reload")
    wanted.systemctl("enable", NAME)
    typer.echo(f"Installed {wanted.file}: the daemon of {wanted.home.root} starts with the machine.")
    if now:
        _start(wanted)
    else:
        typer.echo(f"Start it now with: {wanted.typed} start stratavored")
    if wanted.scope is Scope.USER and not (LINGERING / wanted.account).exists():
        typer.echo(
            f"Next: loginctl enable-linger {wanted.account}\n"
            "Without it, systemd starts the service when you log in, and ends it and all agents when you log out."
        )


def uninstall(user: UserOption = False, system: SystemOption = False) -> None:
    """Take the service away. The daemon stops; sessions and servers go on.

    Examples:
        stratavore daemon uninstall
    """
    wanted = _wanted(user=user, system=system)
    if not wanted.file.exists():
        note(f"No service is installed: there is no {wanted.file}.")
        return
    _check(wanted)
    wanted.systemctl("disable", "--now", NAME)
    wanted.file.unlink()
    wanted.environment_file.unlink(missing_ok=True)
    if wanted.scope is Scope.SYSTEM:
        with suppress(OSError):  # the machine's configuration is there too
            wanted.environment_file.parent.rmdir()
    wanted.systemctl("daemon-reload")
    typer.echo(
        f"Removed {wanted.file}; sessions and servers go on. Start a daemon for them with: stratavore daemon start"
    )


def installed(home: Home) -> Service | None:
    """The service of a state directory; None if there is none."""
    for scope in Scope:
        found = Service(scope, user_name(os.getuid()), home)
        with suppress(OSError, RuntimeError):  # nobody knows where the home of this user is
            if unit.home_of(found.file.read_text()) == unit.home_of(found.text):
                return found
    return None


def _wanted(*, user: bool, system: bool) -> Service:
    """The service that was asked for; under sudo it is that of the person who typed it."""
    if user and system:
        raise typer.BadParameter("choose one of --user and --system")
    if user or (os.getuid() != 0 and not system):
        return Service(Scope.USER, pwd.getpwuid(os.getuid()).pw_name, service.home)
    person = os.environ.get("SUDO_USER")
    if os.getuid() != 0 or not person or "STRATAVORE_HOME" in os.environ:
        return Service(Scope.SYSTEM, person or pwd.getpwuid(os.getuid()).pw_name, service.home)
    theirs = Path(pwd.getpwnam(person).pw_dir) / ".local/state/stratavore"
    return Service(Scope.SYSTEM, person, Home(theirs))


def _check(wanted: Service) -> None:
    """Refuse what cannot be done here, before anything is changed."""
    if not SYSTEMD.exists():
        raise SystemdAway
    if wanted.scope is Scope.SYSTEM and os.getuid() != 0:
        raise NotRoot(program=Path(sys.argv[0]).absolute())
    if wanted.file.exists():
        of = unit.home_of(wanted.file.read_text())
        if of != unit.home_of(wanted.text):
            raise ServiceOfAnother(file=wanted.file, home=of)
    wanted.systemctl("show-environment")  # it answers, or it says why not
    if wanted.scope is Scope.USER:
        wanted.home.create()


def _variables() -> dict[str, str]:
    """Of this terminal, those that a daemon started here would heed; the configuration file by its whole path."""
    found = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("STRATAVORE_")}
    for name in _NOT_KEPT:
        found.pop(name, None)
    if VARIABLE in found:
        found[VARIABLE] = str(configuration_file())
    return found


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)  # everybody looks there for the machine's configuration; the secret is the file
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    temporary.chmod(mode)
    temporary.replace(path)


def _start(wanted: Service) -> None:
    """Start the service, in place of a daemon that was started otherwise."""
    from cli.background import daemon_lives, stop_daemon

    if daemon_lives(wanted.home):
        stop_daemon(wanted.home)
    wanted.systemctl("restart", NAME)
    typer.echo(f"It runs. Its log: journalctl {'--user ' if wanted.scope is Scope.USER else ''}-u stratavored")
