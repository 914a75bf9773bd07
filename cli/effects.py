"""The effects of what several sessions were asked for: one that fails hides no other's."""

from collections.abc import Callable, Sequence
from typing import Any

import typer

from cli.terminal import Progress, note
from cli.waiting import Session
from stratavore.errors import NotMoved, NotSeen, RemoteError, StratavoreError, TookTooLong

Asked = dict[str, Any]
"""A session that was asked, with its ``generation`` before that; of a move, the ``refusal`` that it cannot."""


def await_each(
    asked: Sequence[Asked], effect: Callable[[Asked, Progress], Session]
) -> tuple[list[Session], list[StratavoreError]]:
    """What became of each, as ``effect`` waits for it, and why that of the others is not known or did not come."""
    found: list[Session] = []
    failures: list[StratavoreError] = []
    with Progress() as progress:
        for one in asked:
            try:
                found.append(effect(one, progress))
            except (RemoteError, NotMoved, NotSeen, TookTooLong) as error:
                failures.append(error)
    return found, failures


def tell_failures(failures: Sequence[StratavoreError]) -> None:
    """Say what failed, and end with the first one's exit code; without one go on."""
    for failure in failures:
        note(f"Error: {failure}")
    if failures:
        raise typer.Exit(failures[0].exit_code)
