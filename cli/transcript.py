"""``stratavore transcript``."""

import sys
from base64 import b64decode
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import text
from cli.service import service
from stratavore.errors import NoTranscript


class TranscriptFormat(StrEnum):
    """How a conversation is written."""

    MD = "md"
    JSON = "json"
    JSONL = "jsonl"


KEYS = ("role", "text", "at", "agent_session_id", "subagent")


def transcript(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A session, a runner or a project.")],
    form: Annotated[
        TranscriptFormat,
        typer.Option(
            "--format", metavar="FORMAT", help="md: to read; json; jsonl: what the agent wrote, byte for byte."
        ),
    ] = TranscriptFormat.MD,
) -> None:
    """Show the conversation of a session, also when its files are gone.

    Each use of a tool is one line. What other agents did that the session's agent started follows the conversation.

    Examples:
        stratavore transcript site
        stratavore transcript 1a2b3c4d --format jsonl > conversation.jsonl
        stratavore transcript site --format json | jq -r 'select(.role == "user") | .text'
    """
    session = service.call("find_session", target=target)
    files = service.call("list_transcripts", session_id=session["session_id"])
    if not files:
        raise NoTranscript(session=text.short(session["session_id"]), agent=session["agent"])
    for file in files:
        if form is TranscriptFormat.JSONL:
            for piece in _pieces(file):
                sys.stdout.buffer.write(piece)
        elif form is TranscriptFormat.JSON:
            _write_json(file, session["agent"])
        else:
            _write_text(file, session)
        sys.stdout.flush()


def _write_json(file: dict[str, Any], agent: str) -> None:
    import json

    about = {"agent_session_id": file["agent_session_id"], "subagent": file["name"] if file["subagent"] else None}
    for entry in _entries(file, agent):
        typer.echo(json.dumps({**entry, "at": entry["at"].isoformat(), **about}, ensure_ascii=False))


def _write_text(file: dict[str, Any], session: dict[str, Any]) -> None:
    from cli.plain import plain

    name = file["name"].removesuffix(".jsonl")
    typer.echo(f"## Agent {name}\n" if file["subagent"] else f"# {session['project']}, {name}\n")
    tools = False
    for entry in _entries(file, session["agent"]):
        if tools and entry["role"] != "tool":
            typer.echo("")
        tools = entry["role"] == "tool"
        said = plain(entry["text"].encode()).strip()
        if tools:
            typer.echo(f"- `{text.one_line(said).replace('`', chr(39))}`")
        else:
            typer.echo(f"**{entry['role']}**, {text.clock(entry['at'].isoformat())}\n\n{said}\n")
    if tools:
        typer.echo("")


def _entries(file: dict[str, Any], agent: str) -> Iterator[dict[str, Any]]:
    from stratavore.agents.registry import adapter_for

    adapter = adapter_for(agent)
    for line in _lines(file):
        for entry in adapter.read_entries(line):
            yield {"role": entry.role, "text": entry.text, "at": entry.at}


def _lines(file: dict[str, Any]) -> Iterator[bytes]:
    rest = b""
    for piece in _pieces(file):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    yield rest


def _pieces(file: dict[str, Any]) -> Iterator[bytes]:
    start: int | None = 0
    while start is not None:
        piece = service.call("read_transcript", transcript_id=file["transcript_id"], start=start)
        yield b64decode(piece["content"])
        start = piece["next"]
