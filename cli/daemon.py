"""``stratavore daemon``."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import typer

from cli import terminal, text
from cli.commands import Entry, Noun
from cli.control import end_here
from cli.output import READABLE, Column, Format, FormatOption, pick, show_value, table
from cli.service import service
from cli.terminal import Progress, interactive, note
from cli.widths import wrap
from stratavore.errors import DaemonAway, InvalidInput, ServerAway, StratavoreError
from stratavore.paths import Home

KEYS = ("pid", "host", "version", "uptime_s", "problem", "servers")
SERVER_KEYS = ("name", "address", "state", "pid", "detail", "ui")
_WEB_UI_OF = "temporal"

DAEMON = Noun(
    """Start and stop what runs in the background.

    The daemon runs sessions and keeps the servers: Temporal, Postgres, RabbitMQ. When it stops or dies,
    agents go on, and what they did is caught up by the next one.

    Examples:
        stratavore daemon start
        stratavore daemon status
        stratavore daemon stop --all
    """,
    {
        "start": Entry("cli.daemon:start", "Start the daemon, and with it the servers."),
        "stop": Entry("cli.daemon:stop", "Stop the daemon; with --all the sessions and servers too."),
        "status": Entry("cli.daemon:status", "Show the daemon and the servers, with their addresses."),
        "install": Entry("cli.install:install", "Make the daemon a service of systemd."),
        "uninstall": Entry("cli.install:uninstall", "Take the service away."),
    },
)


def start() -> None:
    """Start the daemon, and with it the servers.

    Returns when it answers. One that runs already is left as it is.

    Examples:
        stratavore daemon start
    """
    from cli.background import start_daemon
    from cli.install import installed

    if not start_daemon(service.home):
        with suppress(DaemonAway):
            note(f"The daemon runs already (process {service.call_daemon('daemon_status')['pid']}).")
            return
    found = service.call_daemon("daemon_status")
    ui = _web_ui(found)
    typer.echo(f"The daemon runs (process {found['pid']}).{f' Workflows are shown at {ui}' if ui else ''}")
    if service_of_systemd := installed(service.home):
        note(
            "It is not the one of the service that is installed, so systemd does not look after it. "
            f"To have that one: stratavore daemon stop, then {service_of_systemd.typed} start stratavored"
        )


def status(form: FormatOption = Format.TABLE) -> None:
    """Show the daemon and the servers, with their addresses.

    Examples:
        stratavore daemon status
        stratavore daemon status --format json
    """
    found = service.call_daemon("daemon_status")
    servers = [*found["servers"], *_metrics(found)]
    if form is not Format.TABLE:
        show_value(pick(found, KEYS) | {"servers": [pick(one, SERVER_KEYS) for one in servers]}, form)
        return
    uptime = text.duration(found["uptime_s"])
    head, width = (
        f"stratavored {found['version']} on {found['host']}, process {found['pid']}, up {uptime}",
        terminal.width(),
    )
    lines = [*wrap(head, width), "", *table(servers, _COLUMNS, width, colour=terminal.colours())]
    if found["problem"]:
        lines += ["", *wrap(f"Problem: {text.one_line(found['problem'])}", width)]
    for one in servers:
        if one["detail"]:
            lines += ["", *wrap(f"{one['name']}: {text.one_line(one['detail'])}", width)]
    typer.echo("\n".join(lines))
    below = {"Web UI": _web_ui(found), "Database": found["psql"]}
    for title, value in below.items():
        if value:
            typer.echo(f"\n{title}: {value}")


def stop(
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="End the sessions, and stop the servers too.")
    ] = False,
    with_servers: Annotated[
        bool, typer.Option("--servers", help="Stop the servers too, and leave the sessions alone.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="With --all: ask nothing, and grant the agents no time.")
    ] = False,
) -> None:
    """Stop the daemon; with --all the sessions and servers too.

    Without --all, agents go on, and so do the servers if not for --servers; the next daemon takes over what lives, and
    starts the rest. With --all the sessions of this host end; those of other hosts go on.

    Examples:
        stratavore daemon stop
        stratavore daemon stop --servers
        stratavore daemon stop --all
    """
    from cli.background import stop_daemon

    home = service.home
    if everything:
        _end_sessions(home, force=force)
    stopped = stop_daemon(home)
    if not (everything or with_servers):
        note("The daemon has stopped; sessions and servers go on." if stopped else "No daemon is running.")
        return
    servers = _stop_servers(home)
    if not (stopped or servers):
        note("Nothing is running." if everything else "Neither the daemon nor a server is running.")
        return
    note("Everything has stopped." if everything else "The daemon and its servers have stopped; agents go on.")


def _end_sessions(home: Home, *, force: bool) -> None:
    """End the live sessions of this host, with a daemon, since nothing else can do it in order."""
    from cli.background import start_daemon, terminals_live

    live = _live()
    if live is None and not terminals_live(home):
        return  # without a terminal no agent runs, so there is none to end now
    if live is not None and not live.here:
        return
    if not (force or service.god):
        _confirm("Sessions are live" if live is None else str(live))
    if live is None or service.without_daemon:
        note("Starting the daemon to end them in order.")
        start_daemon(home)
    end_here(force=force)


def _listed(*, here: bool) -> set[str]:
    return {one["session_id"] for one in service.call("list_sessions", away="its sessions are looked up", here=here)}


class _Live(NamedTuple):
    """How many sessions live."""

    here: int
    elsewhere: int

    def __str__(self) -> str:
        told = f"{text.plural(self.here, 'session')} {'is' if self.here == 1 else 'are'} live"
        if not self.elsewhere:
            return told
        return f"{told} on this host ({self.elsewhere} of other hosts {'goes' if self.elsewhere == 1 else 'go'} on)"


def _live() -> _Live | None:
    """The sessions that live; None: nobody can be asked."""
    try:
        here = _listed(here=True)
        return _Live(len(here), len(_listed(here=False) - here))
    except StratavoreError as error:
        if error.code not in (DaemonAway.code, ServerAway.code):
            raise
        return None


def _confirm(what: str) -> None:
    """Ask before sessions are ended.

    Raises:
        InvalidInput: there is nobody to ask.
    """
    if not interactive():
        raise InvalidInput(reason=f"{what}. To end them without being asked: stratavore daemon stop --all --force")
    if not typer.confirm(f"{what}. End them, and stop everything?"):
        note("Nothing was stopped.")
        raise typer.Exit(1)


def _stop_servers(home: Home) -> bool:
    """Stop the embedded servers. Returns whether any was running."""
    import asyncio

    from stratavore.embedded.stack import EmbeddedStack

    stack = EmbeddedStack.recorded(home)
    if stack is None:
        return False
    running = any(one.pid is not None for one in stack.servers())
    with Progress() as progress:
        progress.show("stopping the servers …")
        asyncio.run(stack.stop())
    return running


def _web_ui(found: dict[str, Any]) -> str:
    """Where a browser shows the workflows; empty if it is not known."""
    return next((one["ui"] for one in found["servers"] if one["ui"] and one["name"] == _WEB_UI_OF), "")


def _metrics(found: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The daemon's own metrics, as one server more."""
    if found["metrics"]:
        own = {"name": "metrics", "state": "running", "pid": found["pid"], "detail": ""}
        yield own | {"address": urlsplit(found["metrics"]).netloc, "ui": found["metrics"]}


_COLUMNS = [
    Column("SERVER", lambda row: row["name"]),
    Column("ADDRESS", lambda row: row["address"], cut=True, least=READABLE),
    Column("STATE", lambda row: row["state"], state=True),
    Column("PID", lambda row: row["pid"], right=True, drop=2),
    Column("WEB", lambda row: None if row["name"] == _WEB_UI_OF else row["ui"], drop=1),  # it has a line of its own
]
