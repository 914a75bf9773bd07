"""Waiting for an agent's reply, and printing it."""

from typing import Any

import typer

from cli import text
from cli.service import service
from cli.terminal import Progress
from stratavore.errors import AgentAsks, NoReply, ReplyFailed

LOOK_SECONDS = 10.0


def print_reply(session_id: str, request_id: str) -> None:
    """Wait as long as it takes for the reply to a text that was sent, and print it.

    Raises:
        AgentAsks: it asks something first.
        ReplyFailed: an error ended its turn.
        NoReply: its session ended or was put away meanwhile.
    """
    short = text.short(session_id)
    with Progress() as progress:
        progress.say(f"Waiting for the reply of {short}. Ctrl-C leaves it at work.")
        found: dict[str, Any] = {"state": "busy"}
        while found["state"] == "busy":
            found = service.call(
                "reply",
                away="the reply is printed when a daemon is back",
                patience=LOOK_SECONDS * 2,
                session_id=session_id,
                request_id=request_id,
                timeout_s=LOOK_SECONDS,
            )
    match found["state"]:
        case "answered":
            if found["text"]:
                typer.echo(found["text"])
        case "failed":
            raise ReplyFailed(session=short, error=found["text"] or "it did not say which")
        case "waiting":
            raise AgentAsks(session=short, question=f'"{found["text"]}"' if found["text"] else "look at its terminal")
        case state:
            raise NoReply(session=short, state=state)
