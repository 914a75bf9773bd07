"""The systemd unit of the daemon: ``python -m cli.unit system`` or ``user`` writes one of ``deploy/systemd``."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

NAME = "stratavored.service"


class Scope(StrEnum):
    """Whose service it is."""

    USER = "user"
    SYSTEM = "system"


_UNIT = """\
[Unit]
Description=Stratavore: coding agents as durable sessions
{order}# It is started again however often it fails: servers that it needs may be away for long.
StartLimitIntervalSec=0

[Service]
Type=notify
{user}{state}Environment={home}
EnvironmentFile={environment}
ExecStart={program}
Restart=on-failure
RestartSec=5
# A wrong setting: starting it again mends nothing.
RestartPreventExitStatus=2
# Embedded servers that recover after a crash take their time.
TimeoutStartSec=15min
WatchdogSec=2min

# Terminals, agents and embedded servers are in this unit's control group and outlive the daemon: whether it is
# stopped, fails or is started again, nothing but the daemon itself is ever ended; the next one takes them over.
KillMode=process
# One agent that takes too much memory ends alone.
OOMPolicy=continue
# They need processes and files as they like. For the same reason there is no sandbox here (ProtectSystem,
# PrivateTmp, NoNewPrivileges, ...): what is forbidden to the daemon is forbidden to agents and their tools.
TasksMax=infinity
LimitNOFILE=65536

[Install]
WantedBy={target}
"""
_OF_SHELL = '"\\`$'
_NETWORK = "Wants=network-online.target\nAfter=network-online.target postgresql.service rabbitmq-server.service\n"


def unit(
    scope: Scope, *, program: Path, home: Path | str, environment: Path | str, user: str = "", state: str = ""
) -> str:
    """The text of the unit.

    Args:
        scope: whose service it is.
        program: ``stratavored``.
        home: the state directory; ``%h`` in it is the user's home directory, ``%S`` where states are kept.
        environment: a file with more variables (:func:`environment_file`); with ``-`` before it, it may be missing.
        user: whom a system's service runs as.
        state: the state directory below ``/var/lib``, if systemd is to make it for that user.
    """
    return _UNIT.format(
        order=_NETWORK if scope is Scope.SYSTEM else "",
        user=f"User={user}\n" if scope is Scope.SYSTEM else "",
        state=f"StateDirectory={state}\nStateDirectoryMode=0700\n" if state else "",
        home=_quoted(f"STRATAVORE_HOME={_literal(home)}"),
        environment=_literal(environment),
        program=_quoted(_literal(program)).replace("$", "$$"),
        target="multi-user.target" if scope is Scope.SYSTEM else "default.target",
    )


def environment_file(variables: Mapping[str, str]) -> str:
    """Variables as ``EnvironmentFile=`` reads them."""
    return "".join(f"{name}={_in_quotes(value, escaped=_OF_SHELL)}\n" for name, value in sorted(variables.items()))


def home_of(text: str) -> str:
    """The state directory that a unit names, as it is written there; empty if it names none."""
    written = (line.partition("=")[2] for line in text.splitlines() if line.startswith("Environment="))
    return next((entry.strip('"').partition("=")[2] for entry in written if "STRATAVORE_HOME=" in entry), "")


def _literal(path: Path | str) -> str:
    """A path without specifiers; a text may hold some."""
    return str(path).replace("%", "%%") if isinstance(path, Path) else path


def _quoted(word: str) -> str:
    plain = word.isascii() and not any(letter.isspace() or letter in "\"'\\;#" for letter in word)
    return word if plain else _in_quotes(word, escaped='"\\')


def _in_quotes(text: str, *, escaped: str) -> str:
    return '"' + "".join(f"\\{letter}" if letter in escaped else letter for letter in text) + '"'


PACKAGED = {
    Scope.SYSTEM: unit(
        Scope.SYSTEM,
        program=Path("/opt/stratavore/bin/stratavored"),
        home="/var/lib/stratavored",
        environment="-/etc/stratavore/daemon.environment",
        user="stratavore",
        state="stratavored",
    ),
    Scope.USER: unit(
        Scope.USER,
        program=Path("/opt/stratavore/bin/stratavored"),
        home="%h/.local/state/stratavore",
        environment="-%h/.config/stratavore/daemon.environment",
    ),
}
"""The units of ``deploy/systemd``, for who does not use ``stratavore daemon install``."""


if __name__ == "__main__":
    sys.stdout.write(PACKAGED[Scope(sys.argv[1])])
