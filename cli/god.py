"""``--god``: past quotas and questions; who did it is recorded before it has any effect."""

from typing import Annotated

import typer

from cli.service import service


def _given(god: bool) -> bool:
    if god:
        service.become_god()
    return god


GodOption = Annotated[
    bool,
    typer.Option("--god", callback=_given, help="Go past quotas and questions; events show who did."),
]
"""Also before any command: ``stratavore --god CMD``."""
