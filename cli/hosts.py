"""``stratavore hosts``."""

from typing import Any

from cli import text
from cli.commands import Entry, Noun
from cli.output import Column, Format, FormatOption, Row, pick, show
from cli.service import service

MACHINE_KEYS = ("processors", "load", "memory_mb", "memory_available_mb", "disk_mb", "disk_free_mb")
KEYS = (
    *("host", "up", "since", "draining", "lease_s", "version"),
    *("runners", "memory_mb", "cpu_percent", "machine"),
)
HOSTS = Noun(
    """List hosts, drain or delete one.

    A host is a machine with a daemon. It says every few seconds that it lives; one that has not for the time of its
    lease is away, and its sessions are unreachable until it is back.

    Examples:
        stratavore hosts
        stratavore hosts show build-1
        stratavore hosts drain build-1 --move
    """,
    {
        "list": Entry("cli.hosts:hosts", "List hosts; what is done if nothing else is said."),
        "show": Entry("cli.host:show_host", "Show one with its sessions."),
        "drain": Entry("cli.host:drain", "Place no new runner on one."),
        "undrain": Entry("cli.host:undrain", "Let one have new runners again."),
        "delete": Entry("cli.host:delete", "Forget one that is gone for good."),
    },
    default="list",
)


def hosts(form: FormatOption = Format.TABLE) -> None:
    """List hosts: which are up or away and since when, what runs there, and what their machines have.

    Examples:
        stratavore hosts
        stratavore hosts --format json | jq '.[] | select(.up | not) | .host'
    """
    found = service.call("list_hosts")
    show([for_programs(one) for one in found], form, KEYS, COLUMNS, empty="No hosts: no daemon was ever started.")


def for_programs(host: dict[str, Any]) -> dict[str, Any]:
    """A host with the documented keys of its machine."""
    return host | {"machine": host["machine"] and pick(host["machine"], MACHINE_KEYS)}


def state(host: Row) -> str:
    """``up``, ``draining`` or ``away``."""
    return "away" if not host["up"] else "draining" if host["draining"] else "up"


def free(of: Row, free_key: str, whole_key: str) -> str:
    """``4.0 of 8.0 GB`` of a machine's memory or disk; empty if it was never measured."""
    machine = of["machine"]
    return f"{machine[free_key] / 1024:.1f} of {machine[whole_key] / 1024:.1f} GB" if machine else ""


def load(host: Row) -> str:
    """``1.5 on 2`` processors."""
    machine = host["machine"]
    return f"{machine['load']:.1f} on {machine['processors']}" if machine and host["up"] else ""


COLUMNS = [
    Column("HOST", lambda row: row["host"], cut=True),
    Column("STATE", state, state=True),
    Column("FOR", lambda row: text.age(row["since"]), right=True),
    Column("RUNNERS", lambda row: row["runners"], right=True),
    Column("MEMORY", lambda row: text.megabytes(row["memory_mb"]), right=True, drop=2),
    Column("CPU", lambda row: f"{row['cpu_percent']:.0f} %", right=True, drop=3),
    Column("LOAD", load, drop=4),
    Column("MEMORY FREE", lambda row: free(row, "memory_available_mb", "memory_mb") if row["up"] else "", drop=2),
    Column("LEASE", lambda row: f"{row['lease_s']:.0f}s" if row["lease_s"] > 0 else "ran out", right=True, drop=5),
    Column("VERSION", lambda row: row["version"], drop=6),
]
