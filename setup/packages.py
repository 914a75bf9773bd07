"""The system's package manager. The standard library only: the virtual environment may need it first."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from setup.progress import SetupFailed, run

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
