"""The base of every message and read model."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen; unknown fields are ignored, so that an older worker reads what a newer one wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def as_json(value: Any) -> Any:
    """A result as the private API sends it: models, and lists of them, as JSON values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return value
