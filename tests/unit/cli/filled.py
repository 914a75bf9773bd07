"""Values of the types that the private API answers with: one where all that may be missing is there, one without it."""

from datetime import UTC, datetime
from enum import Enum
from inspect import getmembers, isfunction
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from stratavore.control import Control
from stratavore.models.base import Model
from stratavore.models.views import DaemonView

_PLAIN: dict[Any, Any] = {str: "1a2b3c4d", int: 1, float: 1.5, bool: True, datetime: datetime(2026, 1, 31, tzinfo=UTC)}


def answers(*, whole: bool) -> dict[str, Any]:
    """For each method of the daemon an answer as JSON values; ``whole``: with all that may be missing."""
    methods = [(name, one) for name, one in getmembers(Control, isfunction) if not name.startswith("_")]
    returned = {name: get_type_hints(one)["return"] for name, one in methods} | {"daemon_status": DaemonView}
    return {
        name: TypeAdapter(kind).dump_python(filled(kind, whole=whole), mode="json") for name, kind in returned.items()
    }


def filled(kind: Any, *, whole: bool) -> Any:
    """A value of a type."""
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        found = [one for one in of if one is not NoneType]
        return filled(found[0], whole=whole) if whole or len(found) == len(of) else None
    if origin in (list, tuple):
        return origin([filled(of[0], whole=whole)])
    if origin is dict:
        return {"name": filled(of[1], whole=whole)}
    if kind is Any:
        return "anything"
    if issubclass(kind, Enum):
        return next(iter(kind))
    if issubclass(kind, Model):
        hints = get_type_hints(kind)
        return kind(**{name: filled(hints[name], whole=whole) for name in kind.model_fields})
    return _PLAIN[kind]
