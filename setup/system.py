"""Parts that the system's package manager installs: tmux, RabbitMQ, Prometheus. The standard library only."""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from setup.progress import SetupFailed, run, say
from setup.settings import settings
from stratavore.embedded.rabbitmq import find_epmd, find_server

TMUX, RABBITMQ, PROMETHEUS = "tmux", "rabbitmq-server", "prometheus"
SYSTEMD = Path("/run/systemd/system")
"""It is there where systemd runs."""


@dataclass(frozen=True)
class Manager:
    """A package manager: what it is called, the words before the names of packages, and names that are its own."""

    program: str
    before: tuple[tuple[str, ...], ...]
    install: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)


_MANAGERS = (
    Manager(
        "apt-get",
        # An installation that was interrupted is finished first: until then apt-get refuses all others.
        before=(("dpkg", "--configure", "-a"), ("apt-get", "update")),
        install=("apt-get", "install", "--yes", "--no-install-recommends"),
    ),
    Manager(
        "dnf",
        before=(),
        install=("dnf", "install", "--assumeyes"),
        names={PROMETHEUS: "golang-github-prometheus"},
    ),
)

# Debian starts what it installs, on every interface. Stratavore runs its own RabbitMQ, and its tests a Prometheus, so
# the system's are kept from starting: by the runlevel where there is no systemd, else by switching them off at once.
_ENVIRONMENT = ("env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
_SWITCH_OFF = ("systemctl", "disable", "--now")
_SERVICES = {
    RABBITMQ: ("rabbitmq-server.service", "epmd.socket", "epmd.service"),
    PROMETHEUS: ("prometheus.service",),
}


def provide(needed: Set[str]) -> None:
    """Install what is missing of tmux, RabbitMQ and what is needed, if that is allowed; else say what works without.

    Args:
        needed: those without which there is no point in going on.

    Raises:
        SetupFailed: one of those is missing; says what to install.
    """
    missing = _missing(needed)
    if not missing:
        return
    failure = ""
    try:
        install(missing)
    except SetupFailed as error:
        failure = str(error)
    still = _missing(needed)
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
    called = [manager.names.get(package, package) for package in packages]
    if leave is None:
        by_hand = " ".join([*manager.install[:2], *called])
        raise SetupFailed(f"Missing: {names}. Install with: sudo {by_hand}")
    for command in manager.before:
        run(f"Preparing {manager.program}", [*leave, *_ENVIRONMENT, *command])
    run(f"Installing {names} with {manager.program}", [*leave, *_ENVIRONMENT, *manager.install, *called])
    services = [service for package in packages for service in _SERVICES.get(package, ())]
    if services and SYSTEMD.exists():
        subprocess.run([*leave, *_SWITCH_OFF, *services], capture_output=True, check=False)


def _leave() -> list[str] | None:
    """What to write before a command that only root may run; None if we may not run it."""
    if os.getuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
        return sudo
    return None


def _missing(needed: Set[str]) -> list[str]:
    missing = [] if shutil.which("tmux") else [TMUX]
    if _wants_rabbitmq() and not (find_server() and find_epmd()):
        missing.append(RABBITMQ)
    if PROMETHEUS in needed and not (shutil.which("prometheus") and shutil.which("promtool")):
        missing.append(PROMETHEUS)
    return missing


def _wants_rabbitmq() -> bool:
    rabbitmq = settings().rabbitmq
    return rabbitmq.enabled and rabbitmq.url is None


def _without(missing: Collection[str]) -> str:
    if TMUX in missing:
        return "Without tmux no session can run."
    if PROMETHEUS in missing:
        return "Without prometheus and promtool the alerts cannot be tested; all else works."
    return "Without RabbitMQ events wait in Postgres; all else works."
