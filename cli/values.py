"""What is typed, as values.

Typer 0.29 has pydantic convert every value, strings too, whose import takes most of the time that a whole
command may take (57 ms of 78, measured). Ours are words, numbers, paths and choices: these lines are enough.
"""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import typer


class Conversion:
    """Converts the values of one parameter; the form is Typer's own."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the command takes it; a default is one already."""
        if value is None:
            return () if param.nargs == -1 else None
        if not isinstance(value, str):
            return value
        try:
            return self._kind(value)
        except ValueError:
            raise typer.BadParameter(f"'{value}' is {self._fault()}.", ctx=ctx, param=param) from None

    def _fault(self) -> str:
        if issubclass(self._kind, Enum):
            return f"none of {', '.join(one.value for one in self._kind)}"
        return "no whole number"


def convert_simply(params: Iterable[Any]) -> None:
    """Let parameters convert their values without pydantic, where they are simple."""
    for param in params:
        kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if isinstance(kind, type) and (kind in (str, bool, int, Path) or issubclass(kind, Enum)):
            param._runtime_param = Conversion(kind)
        elif kind == list[str]:
            param._runtime_param = Conversion(str)
