"""``stratavore resources``."""

import typer

from cli import terminal, text
from cli.hosts import KEYS as HOST_KEYS
from cli.hosts import for_programs, free, load, state
from cli.output import Column, Format, FormatOption, pick, show_value, table
from cli.service import service

KEYS = ("hosts", "projects")
PROJECT_KEYS = ("project", "runners", "memory_mb", "cpu_percent")


def resources(form: FormatOption = Format.TABLE) -> None:
    """Show memory, processors and disks, and who uses them.

    Of each host what its runners use and what its machine has: load, memory, and the disk that holds the state
    directory. Then the same by project.

    Examples:
        stratavore resources
        stratavore resources --format json | jq '.projects[0]'
    """
    found = service.call("show_resources")
    if form is not Format.TABLE:
        of_hosts = [pick(for_programs(one), HOST_KEYS) for one in found["hosts"]]
        show_value({"hosts": of_hosts, "projects": [pick(one, PROJECT_KEYS) for one in found["projects"]]}, form)
        return
    width, colour = terminal.width(), terminal.colours()
    hosts = [one | _used(one) for one in found["hosts"]]
    lines = table(hosts, _HOSTS, width, colour=colour)
    if projects := [one | _used(one) for one in found["projects"]]:
        lines += ["", *table(projects, _PROJECTS, width, colour=colour)]
    typer.echo("\n".join(lines))


def _used(row: dict[str, float]) -> dict[str, float]:
    """What runners use, by names that the machine has not."""
    return {"used_mb": row["memory_mb"], "used_cpu": row["cpu_percent"]}


_USED = [
    Column("RUNNERS", lambda row: row["runners"], right=True),
    Column("MEMORY", lambda row: text.megabytes(row["used_mb"]), right=True),
    Column("CPU", lambda row: f"{row['used_cpu']:.0f} %", right=True, drop=1),
]
_HOSTS = [
    Column("HOST", lambda row: row["host"], cut=True),
    Column("STATE", state, state=True),
    *_USED,
    Column("LOAD", load, drop=4),
    Column("MEMORY FREE", lambda row: free(row, "memory_available_mb", "memory_mb") if row["up"] else "", drop=2),
    Column("DISK FREE", lambda row: free(row, "disk_free_mb", "disk_mb") if row["up"] else "", drop=3),
]
_PROJECTS = [Column("PROJECT", lambda row: row["project"], cut=True), *_USED]
