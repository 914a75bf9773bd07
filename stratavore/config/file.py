"""A configuration file: what it says of each setting, in which line, and whether it may be believed."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stratavore.config.keys import SECTIONS, SETTINGS, NotUnderstood
from stratavore.errors import ConfigurationInvalid
from stratavore.near_names import near_names
from stratavore.yaml_lines import YamlFault, compose, construct, entries, line_of, says_nothing

_EXAMPLE = "temporal: {address: temporal.example:7233}"


class Said(NamedTuple):
    """What a file says of a setting."""

    value: Any
    line: int


def read_file(path: Path) -> dict[str, Said]:
    """What the file says, by key.

    Raises:
        ConfigurationInvalid: it cannot be read, others may write it, or it says what cannot be understood.
    """
    try:
        with path.open("rb") as file:
            _check_writers(path, os.fstat(file.fileno()))
            text = file.read().decode()
    except UnicodeDecodeError:
        raise ConfigurationInvalid(reason=f"{path} is no text in UTF-8") from None
    except OSError as error:
        raise ConfigurationInvalid(reason=f"{path} cannot be read: {os.strerror(error.errno or 0)}") from None
    try:
        root = compose(text)
        return {} if root is None else _read(root)
    except YamlFault as fault:
        raise ConfigurationInvalid(reason=f"{path}, line {fault.line}: {fault.reason}") from None


def readable_by_others(path: Path) -> bool:
    """Whether any user of the machine may read it."""
    found = path.stat()
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & stat.S_IROTH)


def _check_writers(path: Path, found: os.stat_result) -> None:
    """Who writes the file decides which programs run here, and who hears what is said."""
    if not stat.S_ISREG(found.st_mode):
        if stat.S_ISDIR(found.st_mode):
            raise ConfigurationInvalid(reason=f"{path} is a directory")
        return  # /dev/null, or a pipe
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigurationInvalid(reason=f"{path} belongs to another user, who could change it: chown it to yourself")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationInvalid(reason=f"Others than its owner may change {path}: chmod go-w {path}")


def _read(root: yaml.Node) -> dict[str, Said]:
    said: dict[str, Said] = {}
    for key, node in entries(root, _EXAMPLE):
        if key.value in SECTIONS:
            for inner, value in entries(node, f"{key.value}: {{{_first_of(key.value)}: ...}}"):
                said |= _one(f"{key.value}.{inner.value}", inner, value)
        else:
            said |= _one(key.value, key, node)
    return said


def _one(key: str, name: yaml.Node, node: yaml.Node) -> Mapping[str, Said]:
    line = line_of(node)
    if key not in SETTINGS or name.value != SETTINGS[key].name:
        raise YamlFault(line_of(name), f"there is no setting '{key}'; {_meant(key)}")
    if says_nothing(node):
        return {}
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    try:
        if not all(isinstance(part, yaml.ScalarNode) for part in parts):
            raise NotUnderstood(f"takes {SETTINGS[key].takes}")
        return {key: Said(SETTINGS[key].from_file(construct(node)), line)}
    except NotUnderstood as reason:
        raise YamlFault(line, f"'{key}' {reason}") from None


def _meant(key: str) -> str:
    section, _, name = key.rpartition(".")
    if key in SETTINGS:
        return f"write it in its section: {section}: {{{name}: ...}}"
    there = [one.name for one in SETTINGS.values() if one.section == section]
    there += SECTIONS if not section else []
    elsewhere = [one.key for one in SETTINGS.values() if one.name == name]
    near = near_names(name, there) or (f"'{elsewhere[0]}'" if len(elsewhere) == 1 else "")
    return f"did you mean {near}?" if near else f"there is: {', '.join(there)}"


def _first_of(section: str) -> str:
    return next(one.name for one in SETTINGS.values() if one.section == section)
