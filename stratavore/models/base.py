"""The base of every message and read model."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen; unknown fields are ignored, so that an older worker reads what a newer one wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore")
