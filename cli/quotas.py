"""``stratavore quotas``."""

from typing import Annotated

import typer

from cli.commands import Entry, Noun
from cli.output import Column, Format, FormatOption, show
from cli.service import service
from stratavore.errors import InvalidInput
from stratavore.project_names import GLOBAL

KEYS = ("scope", "project", "name", "limit", "used", "waiting")
LIMITS = {"max-runners": "max_concurrent_runners"}
NONE = "none"

QUOTAS = Noun(
    """Show and set limits.

    A session that would pass a limit waits in line, and who waited longest is served first.

    Examples:
        stratavore quotas show
        stratavore quotas set site max-runners 3
    """,
    {
        "show": Entry("cli.quotas:show_quotas", "Show limits, and what is used of them."),
        "set": Entry("cli.quotas:set_quota", "Set a limit, or take it away."),
    },
)


def show_quotas(
    project: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="Of this project; by default everything.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show limits, and what is used of them.

    Examples:
        stratavore quotas show
        stratavore quotas show site
    """
    show(service.call("show_quotas", project=_scope(project)), form, KEYS, COLUMNS, empty="No limits.")


def set_quota(
    project: Annotated[str, typer.Argument(metavar="PROJECT|global", help="Of what.")],
    name: Annotated[str, typer.Argument(metavar="LIMIT", help="max-runners: how many run at once.")],
    value: Annotated[str, typer.Argument(metavar="N|none", help="The limit, or that there is none.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Set a limit, or take it away.

    What runs already goes on; who waits is let in as far as there is room now.

    Examples:
        stratavore quotas set site max-runners 3
        stratavore quotas set global max-runners 20
        stratavore quotas set site max-runners none
    """
    if name not in LIMITS:
        raise InvalidInput(reason=f"There is no limit '{name}'; there is: {', '.join(LIMITS)}")
    if value != NONE and not (value.isascii() and value.isdigit()):
        raise InvalidInput(reason=f"A limit is a whole number or '{NONE}', not '{value}'")
    found = service.call(
        "set_quota",
        away="the limit is set, and who may start does so when a daemon is back",
        project=_scope(project),
        name=LIMITS[name],
        value=None if value == NONE else int(value),
    )
    show(found, form, KEYS, COLUMNS, empty="No limits.")


def _scope(project: str | None) -> str | None:
    return None if project == GLOBAL else project


_SHOWN = {name: shown for shown, name in LIMITS.items()}
COLUMNS = [
    Column("SCOPE", lambda row: row["project"] or row["scope"], cut=True),
    Column("LIMIT", lambda row: _SHOWN.get(row["name"], row["name"])),
    Column("MOST", lambda row: NONE if row["limit"] is None else row["limit"], right=True),
    Column("USED", lambda row: row["used"], right=True),
    Column("WAITING", lambda row: row["waiting"], right=True),
]
