"""``stratavore resources``."""

import typer

from cli import terminal, text
from cli.output import Column, Format, FormatOption, pick, show_value, table
from cli.service import service

KEYS = ("hosts", "projects")
HOST_KEYS = ("host", "up", "version", "runners", "memory_mb", "cpu_percent", "machine")
MACHINE_KEYS = ("processors", "load", "memory_mb", "memory_available_mb", "disk_mb", "disk_free_mb")
PROJECT_KEYS = ("project", "runners", "memory_mb", "cpu_percent")


def resources(form: FormatOption = Format.TABLE) -> None:
    """Show memory, processors and disks, and who uses them.

    Of each host what its runners use, of this one also what the machine has: load, memory, and the disk that holds
    the state directory. Then the same by project.

    Examples:
        stratavore resources
        stratavore resources --format json | jq '.projects[0]'
    """
    found = service.call("show_resources")
    if form is not Format.TABLE:
        of_hosts = [
            pick(one, HOST_KEYS) | {"machine": one["machine"] and pick(one["machine"], MACHINE_KEYS)}
            for one in found["hosts"]
        ]
        show_value({"hosts": of_hosts, "projects": [pick(one, PROJECT_KEYS) for one in found["projects"]]}, form)
        return
    width, colour = terminal.width(), terminal.colours()
    hosts = [one | (one["machine"] or _UNKNOWN) | _used(one) for one in found["hosts"]]
    lines = table(hosts, _HOSTS, width, colour=colour)
    if projects := [one | _used(one) for one in found["projects"]]:
        lines += ["", *table(projects, _PROJECTS, width, colour=colour)]
    typer.echo("\n".join(lines))


def _used(row: dict[str, float]) -> dict[str, float]:
    """What runners use, by names that the machine has not."""
    return {"used_mb": row["memory_mb"], "used_cpu": row["cpu_percent"]}


def _free(free: float | None, whole: float | None) -> str:
    return "" if free is None or whole is None else f"{free / 1024:.1f} of {whole / 1024:.1f} GB"


_UNKNOWN = dict.fromkeys(MACHINE_KEYS)
_USED = [
    Column("RUNNERS", lambda row: row["runners"], right=True),
    Column("MEMORY", lambda row: text.megabytes(row["used_mb"]), right=True),
    Column("CPU", lambda row: f"{row['used_cpu']:.0f} %", right=True, drop=1),
]
_HOSTS = [
    Column("HOST", lambda row: row["host"], cut=True),
    Column("STATE", lambda row: "running" if row["up"] else "unreachable", state=True),
    *_USED,
    Column("LOAD", lambda row: "" if row["load"] is None else f"{row['load']:.1f} on {row['processors']}", drop=4),
    Column("MEMORY FREE", lambda row: _free(row["memory_available_mb"], row["memory_mb"]), drop=2),
    Column("DISK FREE", lambda row: _free(row["disk_free_mb"], row["disk_mb"]), drop=3),
]
_PROJECTS = [Column("PROJECT", lambda row: row["project"], cut=True), *_USED]
