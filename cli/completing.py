"""What can be typed next. The standard library only, and little of it: every press of TAB waits for this.

Commands and options come from a table that :mod:`cli.words` makes of the commands themselves, kept in the user's cache;
names come from the daemon. Nobody is told of a fault here: then there is less to choose from.
"""

import json
import os
import zlib
from typing import Any

SECONDS = 0.3
"""How long the daemon may take."""
FILES = ":files"
"""The answer that lets the shell offer files."""
_PATHS = ("DIR", "FILE")

Table = dict[str, Any]
Choice = tuple[str, str]
"""A word, and what it means."""


def answer(words: list[str]) -> str:
    """What a completion script reads: a line for each word that fits, with a tab before what it means."""
    try:
        found = [one for one in choices(words or [""], table()) if one[0].startswith(_begun(words))]
    except Exception:  # a traceback in the middle of what a person types helps nobody
        return ""
    return "".join(f"{word}\t{meaning}\n" if meaning else f"{word}\n" for word, meaning in found)


def choices(words: list[str], root: Table) -> list[Choice]:
    """All that could stand in the place of the last word, whatever is typed of it.

    Args:
        words: that were typed after the program's name.
        root: of all commands.
    """
    node, place, option = root, 0, None
    for word in words[:-1]:
        if word == "=":  # bash takes --format=json apart
            continue
        if option:
            option = None
        elif word == "--":
            return _of_kind("FILE")
        elif word.startswith("-"):
            name, _, given = word.partition("=")
            known = _options(node).get(name)
            option = known if known and known["value"] and not given else None
        elif "commands" in node and word in node["commands"]:
            node = node["commands"][word]
        elif node is root and word == "help":
            continue
        elif node is root:
            return []  # a project is opened without further words
        else:
            node, place = _default(node), place + 1
    if option:
        return _of_option(option)
    if words[-1].startswith("-"):
        return _dashed(words[-1], _options(node))
    found = [(name, one["help"]) for name, one in node.get("commands", {}).items()]
    if node is root:
        return found + _of_kind("PROJECT")
    arguments = _default(node)["arguments"]
    return found + (_of_option(arguments[min(place, len(arguments) - 1)]) if arguments else [])


def table() -> Table:
    """All commands, from the cache if that is of these very files."""
    here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib takes longer than all of this
    with os.scandir(here) as files:
        newest = max(one.stat().st_mtime_ns for one in files if one.name.endswith(".py"))
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    kept = f"{cache}/stratavore/completion-{zlib.crc32(here.encode()):08x}.json"
    try:
        with open(kept, encoding="utf-8") as file:  # noqa: PTH123
            found: Table = json.load(file)
        if found["newest"] == newest:
            return found
    except (OSError, ValueError, KeyError):
        pass
    from cli.words import write

    return write(kept, newest)


def _begun(words: list[str]) -> str:
    last = words[-1] if words else ""
    return "" if last == "=" else last


def _default(node: Table) -> Table:
    """What a noun does if no command is named; of a command, itself."""
    default: Table = node["commands"].get(node["default"], _NOTHING) if "commands" in node else node
    return default


def _options(node: Table) -> Table:
    return {**_default(node)["options"], **node["options"]}


def _dashed(word: str, options: Table) -> list[Choice]:
    name, equals, _ = word.partition("=")
    if equals:
        known = options.get(name)
        return [(f"{name}={value}", meaning) for value, meaning in _of_option(known)] if known else []
    return [(name, one["help"]) for name, one in options.items()]


def _of_option(option: Table) -> list[Choice]:
    return [(value, "") for value in option["choices"]] or _of_kind(option["kind"])


def _of_kind(kind: str) -> list[Choice]:
    """What there is of it now: ``TARGET``, ``PROJECT|global``, ``DIR``, ..."""
    words = kind.replace("...", "").split("|")
    found = [(word, "") for word in words[1:]]
    if words[0] == "TARGET":
        names = _names()
        found += [(name, "project") for name in names["projects"]]
        found += [(one["session_id"][:8], f"{one['project']}, {one['state']}") for one in names["sessions"]]
    elif words[0] == "PROJECT":
        found += [(name, "project") for name in _names()["projects"]]
    elif words[0] == "SCHEDULE":
        found += [(name, "schedule") for name in _schedules()]
    elif words[0] in _PATHS:
        found = [(FILES, "")]
    return found


def _names() -> dict[str, Any]:
    """Projects and live sessions; none if no daemon answers in time."""
    found: dict[str, Any] = _asked("list_names") or {"projects": [], "sessions": []}
    return found


def _schedules() -> list[str]:
    """What schedules are called; none if no daemon answers in time."""
    found: list[str] = _asked("schedule_names") or []
    return found


def _asked(method: str) -> Any:
    from cli import client
    from stratavore.paths import Home

    home = Home.from_environment()
    try:
        home.check()
        return client.call(home.api_socket, method, {}, SECONDS)
    except Exception:
        return None


_NOTHING: Table = {"options": {}, "arguments": []}
