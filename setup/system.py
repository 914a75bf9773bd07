"""Parts that the system's package manager installs: tmux, RabbitMQ, Prometheus."""

import shutil
import subprocess
from collections.abc import Collection, Set

from setup.packages import PROMETHEUS, RABBITMQ, TMUX, install
from setup.progress import SetupFailed, say
from setup.settings import settings
from stratavore.embedded.rabbitmq import find_epmd, find_server
from stratavore.runtime import tmux_version

_TMUX_SECONDS = 5


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


def _missing(needed: Set[str]) -> list[str]:
    missing = [] if _tmux_will_do() else [TMUX]
    if _wants_rabbitmq() and not (find_server() and find_epmd()):
        missing.append(RABBITMQ)
    if PROMETHEUS in needed and not (shutil.which("prometheus") and shutil.which("promtool")):
        missing.append(PROMETHEUS)
    return missing


def _tmux_will_do() -> bool:
    try:
        done = subprocess.run(("tmux", "-V"), capture_output=True, text=True, timeout=_TMUX_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tmux_version.will_do(done.stdout)


def _wants_rabbitmq() -> bool:
    rabbitmq = settings().rabbitmq
    return rabbitmq.enabled and rabbitmq.url is None


def _without(missing: Collection[str]) -> str:
    if TMUX in missing:
        return f"Without {tmux_version.WANTED} no session can run."
    if PROMETHEUS in missing:
        return "Without prometheus and promtool the alerts cannot be tested; all else works."
    return "Without RabbitMQ events wait in Postgres; all else works."
