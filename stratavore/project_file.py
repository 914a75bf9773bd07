"""``.stratavore.yaml``: what the directory of a project says of how its agents are launched.

It is read where a launch is typed, never by the daemon. Secrets are not in it: it names the variable or the file that
holds one, and that is looked up in the launching shell. ``docs/project-file.md`` describes every key.
"""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator, model_validator

from stratavore.agents.registry import adapter_for, agent_names
from stratavore.errors import EXIT_USAGE, InvalidInput, StratavoreError
from stratavore.launch_options import LaunchOptions, existing_directory, existing_file
from stratavore.yaml_lines import YamlFault, compose, construct, entries, line_of, says_nothing

NAME = ".stratavore.yaml"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BY_REFERENCE = "say where it is, never what it is: {from: VARIABLE} or {file: PATH}"


class ProjectFileInvalid(StratavoreError):
    """{path}, line {line}: {reason}."""

    code = "project_file_invalid"
    exit_code = EXIT_USAGE


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)


class Reference(_Strict):
    """Where the value of a variable is."""

    from_: StrictStr | None = Field(None, alias="from", title="the name of a variable")
    file: StrictStr | None = Field(None, title="the path of a file")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.from_ is None) == (self.file is None):
            raise ValueError(_BY_REFERENCE)
        return self


Words = tuple[StrictStr, ...]


class ProjectFile(_Strict):
    """What it says. ``title``: what is right, in a few words."""

    agent: StrictStr | None = Field(None, title="the name of an agent")
    model: StrictStr | None = Field(None, title="the name of a model")
    arguments: Annotated[Words | None, Field(title="a list of words, numbers in quotes: ['--port', '8080']")] = None
    permission_mode: StrictStr | None = Field(None, title="the name of a permission mode")
    directories: Annotated[Words | None, Field(title="a list of directories: ['../library']")] = None
    mcp_config: Annotated[Words | None, Field(title="a list of files: ['mcp.json']")] = None
    host: StrictStr | None = Field(None, title="the name of a host")
    failover: Annotated[Literal["wait", "auto"] | None, Field(title="wait or auto")] = None
    environment: dict[StrictStr, Reference] = Field({}, title="variables, each with the place of its value")
    _path: Path = Path(NAME)

    @field_validator("agent")
    @classmethod
    def _known_agent(cls, value: str | None) -> str | None:
        if value is not None and value not in agent_names():
            raise ValueError(f"there is no agent '{value}'; there is: {', '.join(agent_names())}")
        return value

    @field_validator("environment")
    @classmethod
    def _variables(cls, value: dict[str, Reference]) -> dict[str, Reference]:
        for name in value:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"'{name}' is no name of a variable: use letters, digits and '_'")
        return value

    @model_validator(mode="after")
    def _known_mode(self) -> Self:
        known = [mode for name in _agents(self.agent) for mode in adapter_for(name).permission_modes]
        if self.permission_mode is not None and self.permission_mode not in known:
            there = f"there is: {', '.join(known)}" if known else f"the agent '{self.agent}' has none"
            raise _Wrong("permission_mode", f"there is no permission mode '{self.permission_mode}'; {there}")
        return self

    def options(self) -> LaunchOptions:
        """What it says of the launch, with whole paths.

        Raises:
            InvalidInput: a directory or a file that it names does not exist.
        """
        base = self._path.parent
        try:
            return LaunchOptions(
                agent=self.agent,
                argv=self.arguments,
                model=self.model,
                permission_mode=self.permission_mode,
                directories=_each(existing_directory, self.directories, base),
                mcp_config=_each(existing_file, self.mcp_config, base),
                host=self.host,
                failover=self.failover,
            )
        except InvalidInput as error:
            raise InvalidInput(reason=f"{error.details['reason']}, which {self._path} names") from None

    def resolved_environment(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The variables with their values, as this shell knows them.

        Raises:
            InvalidInput: one is not set, or its file cannot be read. Says no value.
        """
        return {name: self._resolve(name, reference, environment) for name, reference in self.environment.items()}

    def _resolve(self, name: str, reference: Reference, environment: Mapping[str, str]) -> str:
        if reference.from_ is not None:
            if reference.from_ not in environment:
                raise InvalidInput(
                    reason=f"{self._path} takes {name} from the variable {reference.from_}, which is not set here"
                )
            return environment[reference.from_]
        path = self._path.parent / Path(reference.file or "").expanduser()
        try:
            value = path.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InvalidInput(reason=f"{self._path} takes {name} from the file {path}: {why}") from None
        if "\0" in value:
            raise InvalidInput(reason=f"{self._path} takes {name} from the file {path}: it is no text")
        return value


class _Wrong(ValueError):
    """What is wrong with a key that was judged together with others."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def read_project_file(directory: Path) -> ProjectFile:
    """Read and check the file of a directory; one that is not there says nothing.

    Raises:
        ProjectFileInvalid: it is no YAML, or says what cannot be understood; tells the line and what is right.
    """
    path = directory / NAME
    try:
        text = path.read_text()
    except FileNotFoundError:
        return ProjectFile()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ProjectFileInvalid(path=path, line=1, reason=reason) from None
    try:
        node = compose(text)
        if node is None or says_nothing(node):
            return ProjectFile()
        _check_form(node)
        value = construct(node)
    except YamlFault as fault:
        raise ProjectFileInvalid(path=path, line=fault.line, reason=fault.reason) from None
    try:
        found = ProjectFile.model_validate(value)
    except ValidationError as error:
        line, reason = _told(error, node)
        raise ProjectFileInvalid(path=path, line=line, reason=reason) from None
    found._path = path
    return found


def _check_form(node: yaml.Node) -> None:
    """Refuse what YAML itself lets pass: a file that is no mapping, and keys that are there twice."""
    example = f"agent: {agent_names()[0]}"
    for _, value in entries(node, example):
        if isinstance(value, yaml.MappingNode):
            entries(value, example)


def _told(error: ValidationError, node: yaml.Node) -> tuple[int, str]:
    """The first fault: its line, and what would be right. Values are not told: one may be a secret by mistake."""
    fault = error.errors(include_input=False, include_url=False)[0]
    place = [str(one) for one in fault["loc"]]
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, _Wrong):
        place = [cause.key]
    if fault["type"] == "extra_forbidden":
        return line_of(_at(node, place, key=True)), _unknown(place)
    line = line_of(_at(node, place))
    if cause is not None:
        return line, str(cause) if len(place) < 2 else f"'{place[1]}': {cause}"
    if place[0] == "environment" and len(place) == 2:
        return line, f"'{place[1]}' has no place of its value; {_BY_REFERENCE}"
    return line, f"'{place[0]}' takes {ProjectFile.model_fields[place[0]].title}"


def _unknown(place: list[str]) -> str:
    names = ["from", "file"] if len(place) > 1 else list(ProjectFile.model_fields)
    near = get_close_matches(place[-1], names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there is: {', '.join(names)}"
    return f"there is no key '{place[-1]}'; {hint}"


def _at(node: yaml.Node, place: list[str], *, key: bool = False) -> yaml.Node:
    """The node at a place, or the nearest above it; with ``key`` the last key itself."""
    for depth, name in enumerate(place, start=1):
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == name), None)
            if pair is None:
                break
            node = pair[0] if key and depth == len(place) else pair[1]
        elif isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
            node = node.value[int(name)]
    return node


def _agents(name: str | None) -> tuple[str, ...]:
    return agent_names() if name is None else (name,)


def _each(whole: Any, paths: Words | None, base: Path) -> Words | None:
    return None if paths is None else tuple(whole(path, base) for path in paths)
