"""A light program that does what Claude Code does, as far as Stratavore sees it: 9 MB instead of 270.

Box on the screen, hooks, transcript, requests to the Messages API with the whole conversation, resume, and a turn
that was interrupted goes on. The standard library only, and little of it: a hundred of these run on two cores.
"""

import fcntl
import json
import os
import re
import socket
import sys
import time
from typing import Any

RULE = "─" * 60
Row = dict[str, Any]


def option(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def identifier() -> str:
    raw = os.urandom(16).hex()
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def now() -> str:
    at = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"


class Conversation:
    """The transcript's file, and what is said in it."""

    def __init__(self, session: str) -> None:
        self.session = session
        directory = re.sub(r"[^A-Za-z0-9]", "-", os.getcwd())
        self.path = os.path.join(os.environ["HOME"], ".claude", "projects", directory, f"{session}.jsonl")
        self.messages: list[Row] = []
        if os.path.exists(self.path):
            with open(self.path, "rb") as lines:
                self.messages = [json.loads(line)["message"] for line in lines if line.endswith(b"\n")]

    def add(self, role: str, message: Row) -> None:
        row = {"type": role, "uuid": identifier(), "sessionId": self.session, "timestamp": now(), "message": message}
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, json.dumps(row).encode() + b"\n")
        os.close(handle)
        self.messages.append(message)

    def request(self) -> bytes:
        said = [{"role": one["role"], "content": one["content"]} for one in self.messages]
        body = {"model": "claude-opus-4-5", "stream": True, "max_tokens": 1000, "tools": [{"name": "none"}]}
        return json.dumps({**body, "messages": said}).encode()


def hook(settings: str, name: str, talk: Conversation, **more: str) -> None:
    """Tell of oneself as hook.sh does."""
    given = {"hook_event_name": name, "session_id": talk.session, "transcript_path": talk.path, **more}
    handle = os.open(os.path.join(os.path.dirname(settings), "hooks"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, f"{time.time():.3f} {json.dumps(given)}\n".encode())
    os.close(handle)


def ask(talk: Conversation) -> Row:
    """The reply, once it was streamed to its end."""
    host, _, port = os.environ["ANTHROPIC_BASE_URL"].rpartition("/")[2].partition(":")
    body = talk.request()
    message: Row = {}
    text = ""
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/messages HTTP/1.1\r\nx-claude-code-session-id: {talk.session}\r\ncontent-length: {len(body)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        for line in connection.makefile("rb"):
            if not line.startswith(b"data: "):
                continue
            data = json.loads(line[len("data: ") :])
            match data["type"]:
                case "message_start":
                    message = data["message"]
                case "content_block_delta":
                    text += data["delta"]["text"]
                case "message_delta":
                    message = {**message, "usage": data["usage"], "content": [{"type": "text", "text": text}]}
                case "message_stop":
                    return message
    raise ConnectionError("the reply was cut")


def turn(settings: str, talk: Conversation) -> None:
    print("· Working…", flush=True)
    reply = ask(talk)
    talk.add("assistant", reply)
    said = reply["content"][0]["text"]
    print(said)
    hook(settings, "Stop", talk, last_assistant_message=said)


def main() -> None:
    settings, resumed = option("--settings"), option("--resume")
    assert settings
    talk = Conversation(resumed or option("--session-id") or "")
    hook(settings, "SessionStart", talk, source="resume" if resumed else "startup")
    if talk.messages and talk.messages[-1]["role"] == "user":
        turn(settings, talk)
    while True:
        # The cursor goes back into the box; what is typed is echoed there by the terminal.
        print(f"{RULE}\n❯ \n{RULE}\x1b[1A\r\x1b[2C", end="", flush=True)
        line = input()
        print("\x1b[2J\x1b[H", end="", flush=True)
        if line.strip():
            hook(settings, "UserPromptSubmit", talk, prompt=line.strip())
            talk.add("user", {"role": "user", "content": line.strip()})
            turn(settings, talk)


if __name__ == "__main__":
    main()
