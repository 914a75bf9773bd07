"""Parts that the system's package manager installs: tmux and RabbitMQ. The standard library only."""

import os
import shutil
import subprocess
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from setup.progress import SetupFailed, run, say
from stratavore.embedded.rabbitmq import find_epmd, find_server

TMUX, RABBITMQ = "tmux", "rabbitmq-server"
SYSTEMD = Path("/run/systemd/system")
"""It is there where systemd runs."""


@dataclass(frozen=True)
class Manager:
    """A package manager: what it is called, and the words before the names of packages."""

    program: str
    before: tuple[tuple[str, ...], ...]
    install: tuple[str, ...]


_MANAGERS = (
    Manager(
        "apt-get",
        # An installation that was interrupted is finished first: until then apt-get refuses all others.
        before=(("dpkg", "--configure", "-a"), ("apt-get", "update")),
        install=("apt-get", "install", "--yes", "--no-install-recommends"),
    ),
    Manager("dnf", before=(), install=("dnf", "install", "--assumeyes")),
)

# Debian starts what it installs, on every interface. Stratavore runs its own RabbitMQ, so the system's is
# kept from starting: by the runlevel where there is no systemd, else by switching it off at once.
_ENVIRONMENT = ("env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
_SWITCH_OFF = ("systemctl", "disable", "--now", "rabbitmq-server.service", "epmd.socket", "epmd.service")


def provide(needed: Set[str]) -> None:
    """Install what is missing of tmux and RabbitMQ if that is allowed, else say what works without.

    Args:
        needed: of the two, those without which there is no point in going on.

    Raises:
        SetupFailed: one of those is missing; says what to install.
    """
    missing = _missing()
    if not missing:
        return
    failure = ""
    try:
        install(missing)
    except SetupFailed as error:
        failure = str(error)
    still = _missing()
    if needed & set(still):
        raise SetupFailed(f"{failure or 'Something is still missing.'}\n{_without(still)}")
    if still:
        say(f"{failure}\n{_without(still)}")


def install(packages: Sequence[str]) -> None:
    """Install packages of the system.

    Raises:
        SetupFailed: we may not, do not know how, or it failed; says what to install.
    """
    manager = next((one for one in _MANAGERS if shutil.which(one.program)), None)
    leave = _leave()
    names = " and ".join(packages)
    if manager is None:
        raise SetupFailed(f"Missing: {names}. Install with this system's package manager.")
    if leave is None:
        by_hand = " ".join([*manager.install[:2], *packages])
        raise SetupFailed(f"Missing: {names}. Install with: sudo {by_hand}")
    for command in manager.before:
        run(f"Preparing {manager.program}", [*leave, *_ENVIRONMENT, *command])
    run(f"Installing {names} with {manager.program}", [*leave, *_ENVIRONMENT, *manager.install, *packages])
    if RABBITMQ in packages and SYSTEMD.exists():
        subprocess.run([*leave, *_SWITCH_OFF], capture_output=True, check=False)


def _leave() -> list[str] | None:
    """What to write before a command that only root may run; None if we may not run it."""
    if os.getuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
        return sudo
    return None


def _missing() -> list[str]:
    missing = [] if shutil.which("tmux") else [TMUX]
    if _wants_rabbitmq() and not (find_server() and find_epmd()):
        missing.append(RABBITMQ)
    return missing


def _wants_rabbitmq() -> bool:
    enabled = os.environ.get("STRATAVORE_RABBITMQ__ENABLED", "true").lower() not in ("false", "0", "no", "off")
    return enabled and not os.environ.get("STRATAVORE_RABBITMQ__URL")


def _without(missing: Collection[str]) -> str:
    if TMUX in missing:
        return "Without tmux no session can run."
    return "Without RabbitMQ events wait in Postgres; all else works."
