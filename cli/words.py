"""The table of all commands for the completion of words, made of the commands themselves."""

import json
from contextlib import suppress
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from cli.commands import Group
from cli.main import command

Table = dict[str, Any]


def write(path: str, newest: int) -> Table:
    """Make the table and keep it, as well as that can be done.

    Args:
        path: where to.
        newest: when the newest file of the commands was changed, by which a later one tells whether it still holds.
    """
    made = words() | {"newest": newest}
    with suppress(OSError):
        directory = Path(path).parent
        directory.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=directory, delete=False, encoding="utf-8") as file:
            json.dump(made, file)
        Path(file.name).replace(path)
    return made


def words() -> Table:
    """All commands."""
    return _described(command())


def _described(found: Any) -> Table:
    context = found.make_context("stratavore", [], resilient_parsing=True)
    params = [param for param in found.get_params(context) if not getattr(param, "hidden", False)]
    made: Table = {
        "options": {
            name: _param(param) | {"value": not param.is_flag, "help": param.help or ""}
            for param in params
            if param.param_type_name == "option"
            for name in param.opts
            if name.startswith("--")
        },
        "arguments": [
            _param(param) | {"kind": kind}
            for param in params
            if param.param_type_name == "argument"
            for kind in (param.metavar or "").split(" ")  # some take several things in one
        ],
    }
    if isinstance(found, Group):
        made["default"] = found.default
        made["commands"] = {
            name: _described(found.get_command(context, name)) | {"help": entry.summary}
            for name, entry in found.table.items()
        }
    return made


def _param(param: Any) -> Table:
    """What stands in its place: one of some words, or what it is called in the help."""
    kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    choices = [one.value for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    return {"kind": param.metavar or "", "choices": choices}
