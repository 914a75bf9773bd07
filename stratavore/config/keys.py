"""Every single setting: its key in a file, its variable in the environment, and how a value of it is understood."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_json

from stratavore.config.settings import Settings

PREFIX = "STRATAVORE_"
BETWEEN = "__"

_CALLED = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}
_TEXTS = {"path": "the path of a file", "password": "a text that is kept secret"}


class NotUnderstood(ValueError):
    """What is right instead. It tells no value: one may be a secret by mistake."""


@dataclass(frozen=True)
class Setting:
    """One of them."""

    key: str
    """As in a file, with a point after the section: ``temporal.port``."""
    field: FieldInfo

    @property
    def variable(self) -> str:
        """In the environment: ``STRATAVORE_TEMPORAL__PORT``."""
        return PREFIX + self.key.replace(".", BETWEEN).upper()

    @property
    def section(self) -> str:
        """Empty for what stands in none."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Within its section."""
        return self.key.rpartition(".")[2]

    @property
    def default(self) -> Any:
        """What it is when nobody says anything; None also where that is different on each machine."""
        return None if self.field.default is PydanticUndefined else self.field.default

    @property
    def secret(self) -> bool:
        """Whether it is never shown whole."""
        return self._schema.get("format") == "password"

    @cached_property
    def takes(self) -> str:
        """What is right, in a few words."""
        match self._schema:
            case {"enum": choices}:
                return f"one of {', '.join(choices)}"
            case {"type": "string", **more}:
                return _TEXTS.get(more.get("format", ""), "a text")
            case {"type": kind, "minimum": low, "maximum": high}:
                return f"{_CALLED[kind]} from {low} to {high}"
            case {"type": kind, "minimum": low}:
                return f"{_CALLED[kind]}, {low} or more"
            case {"type": kind, "exclusiveMinimum": low, "maximum": high}:
                return f"{_CALLED[kind]} above {low:g} and up to {high:g}"
        return _CALLED[self._schema["type"]]

    def from_file(self, value: Any) -> Any:
        """The value that a file gives: a number is a number there, and a text a text.

        Raises:
            NotUnderstood: it takes something else.
        """
        with self._understood():
            return self._adapter.validate_json(to_json(value), strict=True)

    def from_text(self, text: str) -> Any:
        """The value that a variable gives.

        Raises:
            NotUnderstood: it takes something else.
        """
        with self._understood():
            return self._adapter.validate_strings(text)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            ours = error.errors(include_url=False)[0].get("ctx", {}).get("error")
            raise NotUnderstood(str(ours) if ours else f"takes {self.takes}") from None

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        annotation: Any = Annotated[self.field.annotation, self.field]
        return TypeAdapter(annotation)

    @cached_property
    def _schema(self) -> dict[str, Any]:
        schema = self._adapter.json_schema()
        return next((one for one in schema.get("anyOf", ()) if one["type"] != "null"), schema)


def _settings() -> Iterator[Setting]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, one in field.annotation.model_fields.items():
                yield Setting(f"{name}.{inner}", one)
        else:
            yield Setting(name, field)


SETTINGS = {one.key: one for one in _settings()}
"""By key, in the order of the models."""
SECTIONS = {
    name: one.annotation.__doc__ or ""
    for name, one in Settings.model_fields.items()
    if isinstance(one.annotation, type) and issubclass(one.annotation, BaseModel)
}
"""What each section is about."""
