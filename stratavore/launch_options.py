"""What can be said of how an agent is launched, and who is heard when several say it.

A person's flags come before the project's file, and that before the project itself. Imports the standard library only:
every launch pays for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from stratavore.errors import InvalidInput
from stratavore.models.states import Failover

LONGEST_PROMPT = 1_000_000
"""Bytes. Temporal takes twice as much for all that a session is started with."""

_OF_ANY_AGENT = frozenset({"host", "failover"})


@dataclass(frozen=True)
class LaunchOptions:
    """How an agent is launched; None: not said."""

    agent: str | None = None
    argv: tuple[str, ...] | None = None
    """The program with its words; of an agent that is a program itself, further words for it."""
    model: str | None = None
    permission_mode: str | None = None
    directories: tuple[str, ...] | None = None
    """Others that the agent may work in: whole paths."""
    mcp_config: tuple[str, ...] | None = None
    """Files that name servers of the Model Context Protocol: whole paths."""
    host: str | None = None
    """The only host that it runs on, until it is moved."""
    failover: str | None = None
    """When its host is lost: ``wait`` for it, or go on elsewhere, ``auto``."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From JSON values.

        Raises:
            InvalidInput: there is no option of that name.
        """
        names = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - names):
            raise InvalidInput(reason=f"There is no option '{unknown[0]}'; there is: {', '.join(sorted(names))}")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """What is said, as JSON values."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def combine(*said: LaunchOptions) -> LaunchOptions:
    """What holds when several speak: who comes first is heard first, and who speaks of another agent not at all.

    Which host it runs on, and what becomes of it when that is lost, has nothing to do with the agent.
    """
    agent = next((one.agent for one in said if one.agent is not None), None)
    found: dict[str, Any] = {}
    for one in said:
        of_any = one.agent in (None, agent)
        said_here = {name: value for name, value in vars(one).items() if value is not None}
        found = {name: value for name, value in said_here.items() if of_any or name in _OF_ANY_AGENT} | found
    return LaunchOptions(**{**found, "agent": agent})


def check_failover(word: str | None) -> None:
    """Refuse a word that is none of those.

    Raises:
        InvalidInput: tells which there are.
    """
    if word is not None and word not in tuple(Failover):
        raise InvalidInput(reason=f"There is no failover '{word}'; there is: {', '.join(Failover)}")


def check_prompt(prompt: str | None) -> None:
    """Refuse a prompt that could not be kept.

    Raises:
        InvalidInput: it is too long, or no text.
    """
    try:
        size = len((prompt or "").encode())
    except UnicodeEncodeError:
        raise InvalidInput(reason="The prompt is no text: it is not in UTF-8") from None
    if "\0" in (prompt or ""):
        raise InvalidInput(reason="The prompt is no text: there is a NUL character in it")
    if size > LONGEST_PROMPT:
        raise InvalidInput(
            reason=f"The prompt has {size} bytes, and at most {LONGEST_PROMPT} can be given: put it into a file, and "
            "name that in the prompt"
        )


def existing_directory(path: str, base: Path) -> str:
    """The whole path of a directory that exists; ``base`` is what it is relative to.

    Raises:
        InvalidInput: it does not exist, is none, or may not be seen.
    """
    return _existing("directory", Path.is_dir, path, base)


def existing_file(path: str, base: Path) -> str:
    """The whole path of a file that exists; ``base`` is what it is relative to.

    Raises:
        InvalidInput: it does not exist, is none, or may not be seen.
    """
    return _existing("file", Path.is_file, path, base)


def _existing(what: str, is_one: Callable[[Path], bool], path: str, base: Path) -> str:
    found = base / Path(path).expanduser()
    try:
        there = is_one(found)
    except OSError as error:
        raise InvalidInput(reason=f"The {what} {found} cannot be used: {error.strerror}") from None
    if not there:
        raise InvalidInput(reason=f"There is no {what} {found}")
    return str(found.resolve())
