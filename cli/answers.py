"""How an agent's answer is written: as text, as one JSON value at its end, or as the lines that the agent wrote."""

import json
import sys
from pathlib import Path
from typing import Any

from cli.output import Format, LaunchFormat, show_value
from cli.terminal import note
from stratavore.agents.adapter import Adapter

_PIECE = 256 * 1024


class Answers:
    """Takes what an agent writes, piece by piece, and writes what a person or a program wants of it."""

    def __init__(self, adapter: Adapter, form: LaunchFormat) -> None:
        self._adapter = adapter
        self._form = form
        self._rest = b""
        self._collected: list[bytes] = []
        self._result: dict[str, Any] = {"result": None}
        self._said = ""
        self._fault = ""

    def read(self, path: Path, position: int) -> int:
        """Take what a file holds from ``position`` on; returns where it ends."""
        try:
            with path.open("rb") as file:
                file.seek(position)
                while piece := file.read(_PIECE):
                    position += len(piece)
                    self._take(piece)
        except FileNotFoundError:
            pass  # the agent has not begun
        return position

    def end_runner(self) -> None:
        """The agent has ended: a line that it left unfinished is none. The next one goes on, or begins again."""
        rest, self._rest = self._rest, b""
        if _is_json(rest):
            self._line(rest)
        if self._collected:
            self._result = {"result": b"".join(self._collected).decode("utf-8", "replace")}
            self._collected = []

    def finish(self, session: dict[str, Any]) -> None:
        """The session is over, and this is what it was."""
        if self._form in (LaunchFormat.JSON, LaunchFormat.YAML):
            show_value({**self._result, **session}, Format(self._form.value))
        elif self._form is LaunchFormat.TABLE and self._fault and self._fault != self._said:
            note(self._fault)

    def _take(self, piece: bytes) -> None:
        if self._adapter.output_is_json:
            *whole, self._rest = (self._rest + piece).split(b"\n")
            for line in whole:
                self._line(line)
        elif self._form in (LaunchFormat.TABLE, LaunchFormat.JSONL):
            _write(piece)
        else:
            self._collected.append(piece)

    def _line(self, line: bytes) -> None:
        if self._form is LaunchFormat.JSONL:
            _write(line + b"\n")
            return
        output = self._adapter.read_output(line)
        if output.text and self._form is LaunchFormat.TABLE:
            self._said = output.text
            _write(f"{output.text}\n".encode())
        if output.result is not None:
            self._result, self._fault = dict(output.result), output.fault


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _write(written: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(written)
    sys.stdout.flush()
