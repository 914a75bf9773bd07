"""YAML files of ours, with the line of everything in them, so that a fault can be shown to who wrote it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

_TEXT = "tag:yaml.org,2002:str"
_NOTHING = "tag:yaml.org,2002:null"


class YamlFault(Exception):
    """What is wrong, and where; it tells no value."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def compose(text: str) -> yaml.Node | None:
    """The nodes of a file; None if it says nothing.

    Raises:
        YamlFault: it is no YAML.
    """
    with _faults_of_yaml():
        node: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
    return node


def construct(node: yaml.Node) -> Any:
    """The value of a node.

    Raises:
        YamlFault: it has none, such as a date that is no day.
    """
    with _faults_of_yaml(line_of(node)):
        return yaml.SafeLoader("").construct_document(node)


def entries(node: yaml.Node, example: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """The keys of a mapping, each with its value; none if it is empty.

    Args:
        node: of the mapping.
        example: of what is right, for who wrote something else.

    Raises:
        YamlFault: it is no mapping, a key is no word, or is there twice.
    """
    if says_nothing(node):
        return []
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise YamlFault(line_of(node), f"keys with values are expected, such as '{example}'")
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT or not key.value.isprintable():
            raise YamlFault(line_of(key), f"a key is a word, such as '{example.partition(':')[0]}'")
        if key.value in seen:
            raise YamlFault(line_of(key), f"'{key.value}' is there twice; the first is in line {seen[key.value]}")
        seen[key.value] = line_of(key)
    return list(node.value)


def says_nothing(node: yaml.Node) -> bool:
    """Whether it is empty: a key whose values are all commented out."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _NOTHING


def line_of(node: yaml.Node) -> int:
    """Its line, from 1."""
    return int(node.start_mark.line) + 1


@contextmanager
def _faults_of_yaml(line: int = 1) -> Iterator[None]:
    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML"
        if any(word in problem for word in ("alias", "anchor", "tag")):  # says the value
            problem = "a value that begins with &, * or ! has to be quoted"
        where = f" (column {mark.column + 1})" if mark else ""
        raise YamlFault(mark.line + 1 if mark else line, f"{problem}{where}") from None
    except RecursionError:
        raise YamlFault(line, "it is nested too deeply") from None
    except ValueError:  # says the value
        raise YamlFault(line, "a value looks like a date or a number and is none; quote it") from None
