from dataclasses import dataclass
from typing import Any
@dataclass(frozen=True)
class NewEvent:
    session_id: str | None
    key: str
    type: str
    project: str
    data: dict[str, Any]
