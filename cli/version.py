"""``stratavore version``."""

import typer

from cli.output import Format, FormatOption, show_value
from cli.service import service
from cli.terminal import note
from stratavore import __version__
from stratavore.errors import DaemonAway, DaemonSilent

KEYS = ("client", "daemon", "servers")
_NAMES = {"temporal": "Temporal", "postgres": "Postgres", "pgvector": "pgvector", "rabbitmq": "RabbitMQ"}


def version(form: FormatOption = Format.TABLE) -> None:
    """Show the versions of all parts: this program, the daemon, and the servers that the daemon works with.

    Examples:
        stratavore version
        stratavore version --format json
    """
    daemon: str | None = None
    servers: dict[str, str | None] = {}
    absence = ""
    try:
        daemon = service.call_daemon("daemon_status")["version"]
        servers = service.call_daemon("server_versions", patience=15)
    except (DaemonAway, DaemonSilent) as error:
        absence = str(error)
    if form is not Format.TABLE:
        show_value({"client": __version__, "daemon": daemon, "servers": servers}, form)
    else:
        parts = {"stratavore": __version__} | ({"stratavored": daemon} if daemon else {})
        parts |= {_NAMES.get(name, name): said or "it does not say" for name, said in servers.items()}
        typer.echo("\n".join(f"{name:<12} {said}" for name, said in parts.items()))
    if absence:
        note(absence)
    elif daemon != __version__:
        note("The daemon is of another version. Replace it: stratavore daemon stop, then stratavore daemon start")
