"""``stratavore reconcile``."""

from typing import Annotated, Any

import typer

from cli import terminal, text
from cli.output import Format, FormatOption, pick, show_value
from cli.service import service
from cli.terminal import note
from cli.widths import wrap
from stratavore.errors import EXIT_FAILED

KEYS = ("dry_run", "differences", "unseen")
DIFFERENCE_KEYS = ("kind", "subject", "session_id", "project", "what", "since", "outcome", "action")
SECONDS = 300.0
"""A host with thousands of runners, each of which is ended with some grace."""

_REMAINS = ("found", "left", "failed")
_WORDS = {
    "found": "would be repaired",
    "repaired": "repaired",
    "gone": "gone by itself",
    "left": "left",
    "failed": "not repaired",
}


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")] = False,
    end_orphans: Annotated[
        bool,
        typer.Option(
            "--end-orphans", help="End agents whose workflow was terminated, and what Postgres knows nothing of."
        ),
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Compare everyone who knows of sessions, and repair what is safe.

    Temporal's workflows, Postgres, and of this host the processes, terminals and run directories. What differs is
    looked at twice, and once more before it is changed; what is not known for sure is told and left alone.
    An agent whose workflow was terminated by hand is taken up again, or ended with --end-orphans.

    Ends with 1 if a difference remains.

    Examples:
        stratavore reconcile --dry-run
        stratavore reconcile
        stratavore reconcile --format json | jq -r '.differences[].what'
    """
    found = service.call(
        "reconcile",
        away="what Temporal and Postgres say is compared",
        patience=SECONDS,
        dry_run=dry_run,
        end_orphans=end_orphans,
    )
    if form is Format.TABLE:
        _tell(found)
    else:
        differences = [pick(one, DIFFERENCE_KEYS) for one in found["differences"]]
        show_value(pick(found, KEYS) | {"differences": differences}, form)
    if any(one["outcome"] in _REMAINS for one in found["differences"]):
        raise typer.Exit(EXIT_FAILED)


def _tell(found: dict[str, Any]) -> None:
    differences, width = found["differences"], terminal.width()
    for one in differences:
        since = f" (since {text.clock(one['since'])})" if one["since"] else ""
        for line in (
            *wrap(f"{text.one_line(one['what'])}{since}.", width),
            *wrap(f"{_WORDS[one['outcome']]}: {text.one_line(one['action'])}", width, before="  ", indent="    "),
        ):
            typer.echo(line)
    outcomes = [one["outcome"] for one in differences]
    counts = [f"{outcomes.count(name)} {word}" for name, word in _WORDS.items() if name in outcomes]
    typer.echo(f"{text.plural(len(differences), 'difference')}: {', '.join(counts)}." if counts else "Nothing differs.")
    for one in found["unseen"]:
        note(f"Not looked at: {text.one_line(one)}.")
