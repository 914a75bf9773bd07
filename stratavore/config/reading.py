"""Reads the settings: environment variables over the configuration file over defaults, each by itself."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from stratavore.config.file import read_file, readable_by_others
from stratavore.config.keys import BETWEEN, PREFIX, SETTINGS, NotUnderstood
from stratavore.config.path import configuration_file
from stratavore.config.settings import Contradiction, Settings
from stratavore.errors import ConfigurationInvalid

NO_SETTINGS = frozenset(
    PREFIX + name
    for name in ("HOME", "CONFIG", "DEBUG", "KILL_AT", "SERVER", "PROJECT", "SESSION_ID", "RUNNER_ID")
)  # fmt: skip
"""Variables that mean something else."""

_DIRECTORIES = frozenset({"export.directory"})
_ANSWER_SECONDS = 1.0
"""What a directory may take for an answer."""
_FILES_OF_DSN = frozenset({"sslrootcert", "sslcert", "sslkey"})
_VARIABLES = {one.variable: one for one in SETTINGS.values()}


@dataclass(frozen=True)
class Source:
    """Where the value of a setting comes from."""

    variable: str = ""
    path: Path | None = None
    line: int = 0

    def __str__(self) -> str:
        return self.variable or f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Configuration:
    """The settings, and where they come from."""

    settings: Settings
    file: Path | None
    sources: Mapping[str, Source]
    """By key, of what is not a default."""
    warnings: tuple[str, ...]
    """What is suspicious, a sentence each."""

    @property
    def origin(self) -> str:
        """Where it comes from, in words: ``/etc/stratavore/stratavore.yaml and 2 variables``."""
        variables = sum(bool(source.variable) for source in self.sources.values())
        parts = [str(self.file)] if self.file else []
        parts += [f"{variables} variable{'s' * (variables != 1)}"] if variables else []
        return " and ".join(parts) or "nothing is configured, and defaults are used"

    def value(self, key: str) -> Any:
        """The value of one setting."""
        found: Any = self.settings
        for part in key.split("."):
            found = getattr(found, part)
        return found


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationInvalid: names the variable or the line that is wrong, and never shows a value; or the file that
            cannot be looked at.
        ConfigurationMissing: the file that is named is not there.
    """
    return read_configuration().settings


def read_configuration() -> Configuration:
    """The settings of this process, with their sources.

    Raises:
        ConfigurationInvalid: names the variable or the line that is wrong, and never shows a value; or the file that
            cannot be looked at.
        ConfigurationMissing: the file that is named is not there.
    """
    path = configuration_file()
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    if path is not None:
        for key, (value, line) in read_file(path).items():
            values[key], sources[key] = value, Source(path=path, line=line)
    for key, value in _of_environment():
        values[key], sources[key] = value, Source(variable=SETTINGS[key].variable)
    for key, value in values.items():
        for named in _files(key, value):
            _check_readable(named, key, sources[key])
        if key in _DIRECTORIES and value is not None:
            _check_directory(value, key, sources[key])
    try:
        settings = Settings.model_validate(_nested(values))
    except ValidationError as error:
        found = error.errors()[0]["ctx"]["error"]
        assert isinstance(found, Contradiction), found  # all else was checked one by one
        raise _wrong(found.key, sources[found.key], str(found)) from None
    return Configuration(settings, path, sources, tuple(_suspicious(path, sources)))


def _of_environment() -> Iterator[tuple[str, Any]]:
    """What variables say. One that is empty says nothing."""
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in _VARIABLES:
            _check_no_mistake(variable)
        elif text:
            setting = _VARIABLES[variable]
            try:
                yield setting.key, setting.from_text(text)
            except NotUnderstood as reason:
                raise _wrong(setting.key, Source(variable=variable), str(reason)) from None


def _check_no_mistake(variable: str) -> None:
    """Refuse a variable that was to be a setting; those of other programs may begin with our name too."""
    near = get_close_matches(variable.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in _VARIABLES], 1, 0.8)
    if variable not in NO_SETTINGS and (near or BETWEEN in variable):
        hint = f"did you mean {PREFIX}{near[0]}?" if near else "see: stratavore config show"
        raise ConfigurationInvalid(reason=f"There is no setting {variable}; {hint}")


def _files(key: str, value: Any) -> Iterator[Path]:
    """The files that a value names; a directory is made when it is needed."""
    if key in _DIRECTORIES:
        return
    if isinstance(value, Path):
        yield value
    elif key == "postgres.dsn":
        for name, text in parse_qsl(urlsplit(value.get_secret_value()).query):
            if name in _FILES_OF_DSN and text != "system":  # the authorities of the system, for libpq
                yield Path(text)


def _check_readable(path: Path, key: str, source: Source) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise _wrong(key, source, f"names {path}, which cannot be read: {why}") from None


def _check_directory(path: Path, key: str, source: Source) -> None:
    """One that is not there yet is made when it is needed; one on a mount that hangs holds up nobody."""
    reasons: list[str] = []

    def look() -> None:
        try:
            if path.exists() and not path.is_dir():
                reasons.append("is no directory")
        except OSError as error:
            reasons.append(f"cannot be looked at: {os.strerror(error.errno or 0).lower()}")

    looking = Thread(target=look, daemon=True)
    looking.start()
    looking.join(_ANSWER_SECONDS)
    for reason in reasons:
        raise _wrong(key, source, f"names {path}, which {reason}")


def _wrong(key: str, source: Source, reason: str) -> ConfigurationInvalid:
    if source.variable:
        return ConfigurationInvalid(reason=f"The setting {source.variable} is wrong: it {reason}")
    return ConfigurationInvalid(reason=f"{source.path}, line {source.line}: '{key}' {reason}")


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    return nested


def _suspicious(path: Path | None, sources: Mapping[str, Source]) -> Iterator[str]:
    if path is not None and readable_by_others(path):
        secret = next((key for key, source in sources.items() if source.path and SETTINGS[key].secret), None)
        if secret:
            yield f"{path} holds '{secret}', and every user of this machine can read it: chmod o-r {path}"
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in _VARIABLES and variable not in NO_SETTINGS:
            yield f"The variable {variable} is no setting, and nothing follows from it"
