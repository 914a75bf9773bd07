"""``stratavore quotas``."""

from typing import Annotated

import typer

from cli.commands import Entry, Noun
from cli.god import GodOption
from cli.output import Column, Format, FormatOption, Row, show
from cli.service import service
from stratavore.errors import InvalidInput
from stratavore.naming import short
from stratavore.project_names import GLOBAL
from stratavore.quotas import NONE, Quota, find_quota, parse_value
from stratavore.quotas import QUOTAS as KNOWN

KEYS = ("scope", "project", "session_id", "name", "limit", "used", "waiting", "source")

QUOTAS = Noun(
    """Show and set limits.

    A session that would pass a limit waits in line, and who waited longest is served first. The limits are
    max-runners: how many run at once; max-memory: how much memory they may have, in MB, before no further one starts;
    max-tokens: how many tokens may be used on a day (in UTC) before no further session starts. They are of a project,
    or of everything. A session can have max-tokens and max-memory of its own; while it waits for its tokens it holds
    up nobody.

    Examples:
        stratavore quotas show
        stratavore quotas set site max-runners 3
        stratavore quotas set --global max-memory 8192
        stratavore quotas set 3f2a max-tokens 100000
        stratavore quotas unset site max-runners
    """,
    {
        "show": Entry("cli.quotas:show_quotas", "Show limits, and what is used of them."),
        "set": Entry("cli.quotas:set_quota", "Set a limit."),
        "unset": Entry("cli.quotas:unset_quota", "Take a limit away."),
    },
)
GlobalOption = Annotated[
    bool, typer.Option("--global", "-g", help="Of everything together, instead of a project or a session.")
]
_LIMITS = "max-runners, max-memory (MB) or max-tokens (a day)."


def show_quotas(
    project: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="Of this project, or this session; by default everything."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show limits, and what is used of them.

    A runner counts at least 256 MB of memory, and more once it was measured with more. Tokens are those of this day in
    UTC. SET BY names the configuration that a limit comes from, if no person set it.

    Examples:
        stratavore quotas show
        stratavore quotas show site
        stratavore quotas show 3f2a
    """
    show(service.call("show_quotas", project=_scope(project)), form, KEYS, COLUMNS, empty="No limits.")


def set_quota(
    words: Annotated[
        list[str],
        typer.Argument(metavar="TARGET|global LIMIT N|none", help=f"Of what, which one, and how much: {_LIMITS}"),
    ],
    everything: GlobalOption = False,
    god: GodOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Set a limit, or take it away.

    What runs already goes on; who waits is let in as far as there is room now. A limit that a configuration names is
    changed there; with --god it is changed until the next start of its daemon.

    Examples:
        stratavore quotas set site max-runners 3
        stratavore quotas set --global max-tokens 2000000
        stratavore quotas set global max-memory 8192
        stratavore quotas set 3f2a max-tokens 100000
        stratavore quotas set site max-runners none
    """
    project, name, value = _understood(words, everything, ("TARGET", "LIMIT", "N"))
    quota = find_quota(name)
    _set(project, quota, parse_value(quota, value), form)


def unset_quota(
    words: Annotated[
        list[str], typer.Argument(metavar="TARGET|global LIMIT", help=f"Of what, and which one: {_LIMITS}")
    ],
    everything: GlobalOption = False,
    god: GodOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Take a limit away; who waits for it is let in.

    Examples:
        stratavore quotas unset site max-runners
        stratavore quotas unset --global max-tokens
    """
    project, name = _understood(words, everything, ("TARGET", "LIMIT"))
    _set(project, find_quota(name), None, form)


def _set(project: str, quota: Quota, value: int | None, form: Format) -> None:
    found = service.call(
        "set_quota",
        away="the limit is set, and who may start does so when a daemon is back",
        project=_scope(project),
        name=quota.name,
        value=value,
        **service.as_god,
    )
    show(found, form, KEYS, COLUMNS, empty="No limits.")


def _understood(words: list[str], everything: bool, wanted: tuple[str, ...]) -> list[str]:
    """What was typed; ``--global`` stands for the target.

    Raises:
        InvalidInput: there are too many words, or too few.
    """
    found = [GLOBAL, *words] if everything else words
    if len(found) != len(wanted):
        missing = " ".join(wanted[1:] if everything else wanted)
        raise InvalidInput(reason=f"Say {missing}{' after --global' if everything else ', or --global for TARGET'}")
    return found


def _scope(project: str | None) -> str | None:
    return None if project == GLOBAL else project


def _shown(row: Row) -> str:
    return next((quota.short for quota in KNOWN if quota.name == row["name"]), row["name"])


def _whose(row: Row) -> str:
    session = row.get("session_id")
    return short(session) if session else row["project"] or row["scope"]


COLUMNS = [
    Column("SCOPE", _whose, cut=True),
    Column("LIMIT", _shown),
    Column("MOST", lambda row: NONE if row["limit"] is None else row["limit"], right=True),
    Column("USED", lambda row: row["used"], right=True),
    Column("WAITING", lambda row: row["waiting"], right=True, drop=2),
    Column("SET BY", lambda row: row["source"], cut=True, drop=1),
]
