"""``stratavore search``."""

import re
from typing import Annotated

import typer

from cli import terminal, text
from cli.output import Format, FormatOption, Row, pick, show_value
from cli.service import service
from cli.widths import wrap

KEYS = ("session_id", "project", "agent", "role", "at", "subagent", "message_id", "rank", "excerpt")
_MARKED = re.compile("\x02(.*?)\x03", re.DOTALL)


def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS...", help='As in a search engine: "in order", or, -without.')
    ],
    project: Annotated[
        str | None, typer.Option("--project", "-p", metavar="PROJECT", help="Of this project only.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most so many.")] = 20,
    form: FormatOption = Format.TABLE,
) -> None:
    """Search all conversations, also of sessions that have ended. The best comes first.

    Words are found in all their forms, by the rules of English; what tools did is not searched. If thousands of
    messages match, the newest 2000 are compared.

    Examples:
        stratavore search retry backoff
        stratavore search '"dead letter" -rabbitmq' --project site
    """
    found = service.call("search", words=" ".join(words), project=project, limit=limit)
    if form is not Format.TABLE:
        show_value([pick(one, KEYS) | {"excerpt": _MARKED.sub(r"\1", one["excerpt"])} for one in found], form)
    elif found:
        short = text.short_ids(one["session_id"] for one in found)
        width, colour = terminal.width(), terminal.colours()
        typer.echo("\n\n".join(shown(one, short[one["session_id"]], width, colour=colour) for one in found))
    else:
        terminal.note("Nothing was found.")


def shown(found: Row, session: str, width: int | None, *, colour: bool) -> str:
    """Where it was said, and the words around what was found."""
    who = "another agent" if found["subagent"] else found["role"]
    head = f"{session}  {found['project']}  {who}  {text.clock(found['at'])}"
    parts = _MARKED.split(found["excerpt"])
    spaces = [(part[:1].isspace(), part[-1:].isspace()) for part in parts]
    clean = [text.one_line(part) for part in parts]
    words = ""
    for number, part in enumerate(clean):
        before, after = spaces[number]
        part = f"\x1b[1;33m{part}\x1b[0m" if colour and number % 2 else part
        words += f"{' ' if before and words else ''}{part}{' ' if after and part else ''}"
    return "\n".join([head, *wrap(words.strip(), width, before="    ", indent="    ")])
