"""``stratavore approve`` and ``deny``."""

from typing import Annotated
from uuid import uuid4

import typer

from cli import text
from cli.budget import COLUMNS, KEYS, TokensOption, UsdOption
from cli.output import Format, FormatOption, show
from cli.service import service
from stratavore.budgets import Unit, parse_amount
from stratavore.errors import InvalidInput

Target = Annotated[
    str, typer.Argument(metavar="TARGET|all", help="A session, a project: all of its sessions, or all there are.")
]


def approve(
    target: Target,
    tokens: TokensOption = None,
    usd: UsdOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Let sessions go on that a budget holds: give the budget more, from now on until its period ends.

    By default as much as the budget is. A budget that others share lets them go on, too.

    Examples:
        stratavore approve 1a2b3c4d
        stratavore approve site --tokens 200k
        stratavore approve all --usd 5
    """
    if tokens is not None and usd is not None:
        raise InvalidInput(reason="Say how much more: --tokens N or --usd X, one of them")
    unit = Unit.TOKENS if tokens is not None else Unit.USD if usd is not None else None
    typed = tokens if tokens is not None else usd
    found = service.call(
        "approve",
        away="it is approved, and who waits goes on when a daemon is back",
        target=target,
        request_id=str(uuid4()),
        unit=unit,
        amount=None if unit is None or typed is None else f"{parse_amount(unit, typed):f}",
    )
    show(found, form, KEYS, COLUMNS, empty="No budgets.")


def deny(target: Target) -> None:
    """Put sessions away that wait for an approval: they go on when somebody resumes them.

    Examples:
        stratavore deny 1a2b3c4d
        stratavore deny site
    """
    told = service.call(
        "deny",
        away="it is noted, and takes effect when a daemon is back",
        target=target,
        request_id=str(uuid4()),
    )
    for session_id in told:
        typer.echo(f"{text.short(session_id)}  denied; run it again with: stratavore resume {text.short(session_id)}")
