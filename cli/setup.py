"""``stratavore setup``."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.output import Column, Format, FormatOption, show
from cli.terminal import Progress
from stratavore.errors import EXIT_UNAVAILABLE

KEYS = ("server", "what", "state", "detail")


def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Prepare servers of your own: database, namespace, exchange.

    Makes what is missing on the servers that the configuration names: the database with its schema and pgvector,
    RabbitMQ's exchange, Temporal's namespace with its search attributes. Can be repeated. What is there already
    needs no rights to make it. Servers that the daemon starts itself are prepared by it.

    Examples:
        stratavore setup --dry-run
        stratavore setup
    """
    from stratavore.config.reading import read_settings

    steps = asyncio.run(_prepare(read_settings(), change=not dry_run))
    show(steps, form, KEYS, _COLUMNS, empty="No servers are configured: the daemon starts its own and prepares them.")
    if any(step["state"] == "failed" for step in steps):
        raise typer.Exit(EXIT_UNAVAILABLE)


async def _prepare(settings: Any, *, change: bool) -> list[dict[str, Any]]:
    from stratavore.servers.setup import prepare  # Temporal's SDK: most of a second

    found = []
    with Progress() as progress:
        async for step in prepare(settings, change=change):
            progress.show(f"{step.server}: {step.what}")
            found.append(asdict(step))
    return found


_COLUMNS = [
    Column("SERVER", lambda row: row["server"]),
    Column("WHAT", lambda row: row["what"]),
    Column("STATE", lambda row: row["state"], state=True),
    Column("DETAIL", lambda row: row["detail"]),
]
