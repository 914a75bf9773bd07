"""``stratavore hosts show``, ``drain``, ``undrain`` and ``delete``."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import terminal, text
from cli.effects import tell_failures
from cli.hosts import KEYS as HOST_KEYS
from cli.hosts import for_programs, free, load, state
from cli.move import ask, await_all, tell
from cli.output import Format, FormatOption, pick, show_value, table
from cli.service import service
from cli.sessions import KEYS as SESSION_KEYS
from cli.sessions import columns
from cli.terminal import interactive, note
from stratavore.errors import NobodyToAsk

KEYS = (*HOST_KEYS, "sessions")
DELETED_KEYS = ("host", "sessions", "schedules")
GIVE_UP_SECONDS = 45.0
"""A little longer than sessions may take to go on elsewhere."""

Name = Annotated[str, typer.Argument(metavar="HOST", help="Which.")]


def show_host(host: Name, form: FormatOption = Format.TABLE) -> None:
    """Show a host: since when it is up or away, what its machine has, and the sessions that live there.

    Examples:
        stratavore hosts show build-1
        stratavore hosts show build-1 --format json | jq .machine
    """
    _print(service.call("show_host", host=host), form)


def drain(
    host: Name,
    leave: Annotated[bool, typer.Option("--move", help="Let what runs there go on on other hosts.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Place no new runner on a host.

    What runs there goes on. A session of it that is resumed, restarted or started again after a crash goes on at
    another host. It holds until 'stratavore hosts undrain', also when the daemon is started again.

    With --move all sessions that run there move to other hosts, as with 'stratavore move --from HOST --all'; what
    cannot move is told with the reason, and stays. The machine can be turned off once nothing is left.

    Examples:
        stratavore hosts drain build-1
        stratavore hosts drain build-1 --move
    """
    found = service.call("drain_host", away="the host is draining all the same", host=host)
    if leave:
        _move_all(host, form)
    else:
        _print(found, form)


def _move_all(host: str, form: Format) -> None:
    """Let all sessions of a host go on elsewhere, and say what is left."""
    asked = ask(None, None, host)
    if service.without_daemon:
        return
    moved, failures = await_all(asked)
    left = service.call("show_host", host=host)
    if form is not Format.TABLE:
        _print(left, form)
    else:
        tell(moved)
        count = len(left["sessions"])
        stay = f"{text.plural(count, 'session')} of it {'stays' if count == 1 else 'stay'}"
        what = stay if count else "nothing runs there"
        typer.echo(f"The host {host} takes no new runners; {what}.")
    tell_failures(failures)


def undrain(host: Name, form: FormatOption = Format.TABLE) -> None:
    """Let a host that was draining have new runners again.

    Examples:
        stratavore hosts undrain build-1
    """
    _print(service.call("undrain_host", away="the host takes runners again all the same", host=host), form)


def delete(
    host: Name,
    force: Annotated[
        bool,
        typer.Option("--force", "-f", help="Its sessions go on elsewhere: their agents there are taken for dead."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Forget a host that is gone for good.

    Refused while its daemon says that it lives, and while sessions wait for it: --force lets them go on at other
    hosts, each with the conversation as far as it was told before the host went away. Do that only if its agents
    are dead, or nobody minds: should it come back, its daemon ends those that it finds of these sessions.

    Refused as well while schedules are to launch on it: what is due would wait for it. --force leaves them waiting.

    Examples:
        stratavore hosts delete build-1
        stratavore hosts delete build-1 --force --yes
    """
    found = service.call("show_host", host=host)
    waits = len(found["sessions"])
    if force and waits and not (yes or service.god) and found["lease_s"] <= 0:
        sessions = text.plural(waits, "session")
        if not interactive():
            raise NobodyToAsk(what=f"delete the host {host} and let its {sessions} go on elsewhere")
        if not typer.confirm(f"Is {host} gone for good? Its {sessions} go on elsewhere"):
            note("Nothing was deleted.")
            raise typer.Exit(1)
    deleted = service.call(
        "delete_host",
        away="the host is deleted all the same",
        patience=GIVE_UP_SECONDS,
        host=host,
        force=force,
        **service.as_god,
    )
    if form is not Format.TABLE:
        show_value(pick(deleted, DELETED_KEYS), form)
        return
    told = [f"Deleted the host {host}."]
    if deleted["sessions"]:
        told.append(f"{text.plural(len(deleted['sessions']), 'session')} of it go on elsewhere.")
    if waiting := deleted["schedules"]:
        verb = "waits" if len(waiting) == 1 else "wait"
        told.append(f"{text.plural(len(waiting), 'schedule')} still {verb} for it: {', '.join(waiting)}.")
    typer.echo(" ".join(told))


def _print(found: dict[str, Any], form: Format) -> None:
    if form is not Format.TABLE:
        sessions = [pick(one, SESSION_KEYS) for one in found["sessions"]]
        show_value(pick(for_programs(found) | {"sessions": sessions}, KEYS), form)
        return
    lines = list(_facts(found))
    if found["sessions"]:
        of_sessions = table(found["sessions"], columns(found["sessions"]), terminal.width(), colour=terminal.colours())
        lines += ["", *of_sessions]
    typer.echo("\n".join(lines))


def _facts(found: dict[str, Any]) -> Iterator[str]:
    """What is known of it; of a machine that is away what it had."""
    lease = found["lease_s"]
    facts = {
        "Host": found["host"],
        "State": f"{state(found)} since {text.clock(found['since'])}",
        "Draining": "yes: no new runner is placed there" if found["draining"] else "",
        "Lease": f"good for {lease:.0f} s" if lease > 0 else f"ran out {text.duration(-lease)} ago",
        "Version": found["version"],
        "Runners": str(found["runners"]),
        "Memory used": text.megabytes(found["memory_mb"]),
        "CPU used": f"{found['cpu_percent']:.0f} %",
        "Load": load(found),
        "Memory free": free(found, "memory_available_mb", "memory_mb"),
        "Disk free": free(found, "disk_free_mb", "disk_mb"),
    }
    for name, value in facts.items():
        if value:
            yield f"{name}: {text.one_line(value)}"
